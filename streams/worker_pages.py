"""What a worker answers over HTTP: /health, /metrics, /status, /profiles and /population."""

import asyncio
import time
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from aiohttp.web import Request, Response, StreamResponse, json_response

from processors.population import Population, combine, measure
from schemas.profile import canonical
from streams.apply import BatchApplier
from streams.faust_app import App
from streams.liveness import STALLED_AFTER, Liveness
from streams.metrics import ShardCollector, WorkerMetrics
from streams.metrics_page import add_metrics_page
from streams.table import Shard

DUMP_CHUNK = 500


def add_worker_pages(
    app: App, applier: BatchApplier, metrics: WorkerMetrics, liveness: Liveness
) -> None:
    """Add the worker's pages to its Faust web server."""
    metrics.registry.register(ShardCollector(applier))

    @app.page("/health")  # type: ignore[untyped-decorator]
    async def health(_web: Any, _request: Request) -> Response:
        """Answer 200 when the worker serves and moves; 503 with the reason when it does not."""
        ready = app.tables.recovery.completed.is_set()
        # The clock goes on each second, through the broker and between two batches.
        stalled = time.monotonic() - metrics.last_progress > STALLED_AFTER
        problem = (
            f"failed: {applier.failure}"
            if applier.failure
            else "recovering"
            if not ready
            else "stalled: neither a batch nor the clock goes on"
            if stalled
            else liveness.problem()
        )
        body = {"ok": not problem, "problem": problem, "partitions": sorted(applier.shards)}
        return json_response(body, status=503 if problem else 200)

    add_metrics_page(app, metrics.registry)

    @app.page("/status")  # type: ignore[untyped-decorator]
    async def status(_web: Any, _request: Request) -> Response:
        """Answer the account of each partition: what became of every record up to its offset.

        The other figures are of this process since it started: what it has written, and the
        seconds in which it had a batch in hand.
        """
        accounts = {str(number): _account(shard) for number, shard in applier.shards.items()}
        return json_response(
            {
                "partitions": accounts,
                "actions": metrics.actions_sent,
                "facts": metrics.facts_sent,
                "busy_seconds": metrics.busy_seconds,
            }
        )

    @app.page("/profiles")  # type: ignore[untyped-decorator]
    async def profiles(_web: Any, request: Request) -> StreamResponse:
        """Answer the canonical dump of this worker's profiles, a line a person, by user id."""
        response = StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        stores = [shard.store for shard in applier.shards.values() if shard.store is not None]
        people = merge(*(chain.from_iterable(s.scan()) for s in stores), key=attrgetter("user_id"))
        while chunk := list(islice(people, DUMP_CHUNK)):
            await response.write(("\n".join(map(canonical, chunk)) + "\n").encode())
            await asyncio.sleep(0)
        return response

    @app.page("/profiles/{user_id}")  # type: ignore[untyped-decorator]
    async def profile(_web: Any, _request: Request, user_id: str) -> Response:
        """Answer one person's profile; 404 if this worker does not hold it."""
        for shard in applier.shards.values():
            if found := shard.partition.profiles.get(user_id):
                return Response(text=canonical(found) + "\n", content_type="application/json")
        return json_response({"error": f"no profile of {user_id!r} on this worker"}, status=404)

    _add_population(app, applier)


def _add_population(app: App, applier: BatchApplier) -> None:
    @app.page("/population")  # type: ignore[untyped-decorator]
    async def population(_web: Any, request: Request) -> Response:
        """Answer the totals of each partition's customers at ``?as_of=``, for the means of RFM."""
        as_of = request.query.get("as_of", "")
        if not as_of.isdecimal():
            return json_response({"error": "add ?as_of= in milliseconds since 1970"}, status=400)
        totals = {}
        for number, shard in sorted(applier.shards.items()):
            total = Population(int(as_of))
            for people in shard.store.scan() if shard.store is not None else ():
                total = combine((total, measure(people, total.as_of)))
                await asyncio.sleep(0)
            totals[str(number)] = total._asdict()
        return json_response(totals)


def _account(shard: Shard) -> dict[str, int]:
    counts = shard.account
    return {
        "offset": shard.ledger.offset,
        "applied": counts.applied,
        "duplicate": counts.duplicates,
        "late": counts.late,
        "dead": shard.ledger.dead,
        "clock": shard.ledger.clock,
        "profiles": counts.people,
    }
