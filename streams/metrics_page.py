"""The page /metrics, which workers and sinks answer alike."""

from typing import Any

from aiohttp.web import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.faust_app import App


def add_metrics_page(app: App, registry: CollectorRegistry) -> None:
    """Add the page to the Faust web server of ``app``."""

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def expose(_web: Any, _request: Request) -> Response:
        """Answer in Prometheus' text format."""
        return Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
