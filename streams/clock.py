"""The worker's clock: each second it fires what is due, while others see whether it moves."""

import time

from faust.types import TP

from streams.admin import refuse_added
from streams.apply import BatchApplier
from streams.collecting import Collector
from streams.faust_app import App
from streams.liveness import Liveness
from streams.metrics import WorkerMetrics
from streams.settings import Settings


def add_clock(
    app: App,
    settings: Settings,
    applier: BatchApplier,
    metrics: WorkerMetrics,
    liveness: Liveness,
    collector: Collector,
) -> None:
    """Let the worker's clock go while its partitions are restored."""
    source = settings.topic("touchpoints")

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def clock() -> None:
        collector.tick()
        if not app.tables.recovery.completed.is_set():
            return
        now = int((time.time() - settings.clock_margin) * 1000)
        try:
            reach = await app.consumer.reach({TP(source, p) for p in applier.shards})
            await applier.advance(now, {tp.partition: each for tp, each in reach.items()})
            metrics.last_progress = time.monotonic()
        except Exception as error:  # noqa: BLE001 - a timer that cannot fire must not be missed
            await app.die(error)

    # By itself: the clock may be busy for minutes with a date that very many wait for.
    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def watch() -> None:
        if not app.tables.recovery.completed.is_set():
            return
        try:
            refuse_added(source, await app.consumer.partitions(source))
            shards = {TP(source, p): shard for p, shard in applier.shards.items()}
            reach = await app.consumer.reach(set(shards))
            committed = await app.consumer.committed(set(reach))
            parts = {tp: shard.parts for tp, shard in shards.items()}
            metrics.lag.clear()  # of partitions that others have now
            for tp, behind in liveness.look(reach, committed, parts=parts).items():
                metrics.lag.labels(tp.partition).set(behind)
        except Exception as error:  # noqa: BLE001 - who is not watched would look well
            await app.die(error)
