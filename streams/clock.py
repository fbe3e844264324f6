"""The worker's clock: each second it fires what is due, and looks where the worker stands."""

import time

from faust.types import TP

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
            tps = {TP(source, p) for p in applier.shards}
            reach = {tp.partition: each for tp, each in (await app.consumer.reach(tps)).items()}
            await applier.advance(now, reach)
            committed = {tp.partition: o for tp, o in (await app.consumer.committed(tps)).items()}
            metrics.lag.clear()  # of partitions that others have now
            for partition, behind in liveness.look(reach, committed).items():
                metrics.lag.labels(partition).set(behind)
            metrics.last_progress = time.monotonic()
        except Exception as error:  # noqa: BLE001 - a timer that cannot fire must not be missed
            await app.die(error)
