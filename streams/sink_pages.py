"""What a sink answers over HTTP: health, metrics, lag, tables, dead letters and funnels."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.web import Request, Response, json_response
from faust.types import TP

from schemas.playbook import find_playbook
from sinks.funnel_live import NotLive
from sinks.summary import latest_dead_letters, rows_by_table
from sinks.warehouse import Warehouse
from streams.faust_app import App
from streams.funnels import UnknownFunnel, choose_source, count_steps, describe_source, find_funnel
from streams.liveness import Liveness
from streams.metrics import SinkMetrics
from streams.metrics_page import add_metrics_page
from streams.settings import Settings
from streams.sink_buffer import SinkBuffer


def add_sink_pages(
    app: App,
    settings: Settings,
    warehouse: Warehouse,
    buffers: dict[str, SinkBuffer],
    metrics: SinkMetrics,
    lag: Callable[[], Awaitable[dict[TP, int]]],
    liveness: Liveness,
) -> None:
    """Add the sink's pages to its Faust web server; ``warehouse`` is asked, never written to.

    The funnels are here because an embedded warehouse can be open in one process only.
    """
    _add_health(app, buffers, liveness)
    add_metrics_page(app, metrics.registry)

    @app.page("/lag")  # type: ignore[untyped-decorator]
    async def behind(_web: Any, _request: Request) -> Response:
        """Answer how many records of each topic are not in ClickHouse yet; 503 before it joins."""
        if not app.tables.recovery.completed.is_set():
            return json_response({"error": "joining"}, status=503)
        waiting: Counter[str] = Counter()
        for tp, records in (await lag()).items():
            waiting[tp.topic] += records
        return json_response(waiting)

    @app.page("/tables")  # type: ignore[untyped-decorator]
    async def tables(_web: Any, _request: Request) -> Response:
        """Answer how many rows each table has, each record of the log counted once."""
        return json_response(await asyncio.to_thread(rows_by_table, warehouse))

    @app.page("/dead-letters")  # type: ignore[untyped-decorator]
    async def dead_letters(_web: Any, _request: Request) -> Response:
        """Answer the newest dead letters: place (topic/partition/offset), reason and detail."""
        rows = await asyncio.to_thread(latest_dead_letters, warehouse)
        return json_response([{"place": p, "reason": r, "detail": d} for p, r, d in rows])

    @app.page("/funnel/{name}")  # type: ignore[untyped-decorator]
    async def funnel(_web: Any, request: Request, name: str) -> Response:
        """Answer a funnel of the playbook: people by step, from live rows where they can tell.

        With ``?ad_hoc=1`` from raw touches.
        """
        playbook = find_playbook(settings.playbook)
        try:
            query = find_funnel(playbook, name)
        except UnknownFunnel as error:
            return json_response({"error": str(error)}, status=404)
        source = (
            NotLive("as asked")
            if request.query.get("ad_hoc") == "1"
            else await asyncio.to_thread(choose_source, warehouse, playbook, query)
        )
        result = await asyncio.to_thread(count_steps, warehouse, query, source)
        steps = [step._asdict() for step in result.steps]
        return json_response({"funnel": name, "steps": steps, "source": describe_source(source)})


def _add_health(app: App, buffers: dict[str, SinkBuffer], liveness: Liveness) -> None:
    @app.page("/health")  # type: ignore[untyped-decorator]
    async def health(_web: Any, _request: Request) -> Response:
        """Answer 200 while the sink is assigned and moves; 503 with the reason if not.

        Whoever waits for ClickHouse is well, and says so: another sink could do no more.
        """
        waits_for = next((said for each in buffers.values() if (said := each.waits_for)), "")
        problem = (
            f"failed: {app.fatal}"
            if app.fatal
            else "joining"
            if not app.tables.recovery.completed.is_set()
            else liveness.problem()
        )
        body = {
            "ok": not problem,
            "problem": problem,
            "waits_for": waits_for,
            "rows_waiting": {name: buffer.waiting for name, buffer in buffers.items()},
        }
        return json_response(body, status=503 if problem else 200)
