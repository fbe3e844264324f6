"""The worker: one agent over the touchpoints, its state, its clock and its pages."""

import time
from typing import Any

from faust.types import TP

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from streams.admin import refuse_added
from streams.apply import BatchApplier
from streams.clock import add_clock
from streams.collecting import Collector
from streams.delivery import Delivery, OrderedDelivery, TransactionalDelivery
from streams.faust_app import App, Hooks, consume, new_app
from streams.faust_fetching import Batch
from streams.faust_transport import BatchSchema
from streams.liveness import Liveness
from streams.metrics import WorkerMetrics
from streams.restore import restore_shards
from streams.settings import Settings
from streams.standby import Standby
from streams.stores import Stores
from streams.worker_pages import add_worker_pages


def build_app(settings: Settings) -> App:
    """Build the worker; nothing connects before it is started.

    Raises:
        schemas.playbook.PlaybookError: the playbook is wrong.
        streams.store.StoreError: the profiles cannot be kept where they are to be.
        RuntimeError: Faust is not the version that the overrides were written for.
    """
    playbook = compile_playbook(find_playbook(settings.playbook))
    codec = settings.new_codec()
    source = settings.topic("touchpoints")
    metrics, liveness = WorkerMetrics(), Liveness()

    async def commit(partition: int, offset: int) -> bool:
        return bool(await app.consumer.commit_batch({TP(source, partition): offset}))

    delivery: Delivery = (
        TransactionalDelivery(settings)
        if settings.broker == "kafka"
        else OrderedDelivery(settings, commit)
    )
    collector, stores = Collector(), Stores(settings, playbook)
    stores.keep_out_others()
    standby = Standby(settings, stores, metrics)
    applier = BatchApplier(settings, codec, delivery, metrics)

    async def restore(assignment: set[TP]) -> dict[TP, int]:
        started = time.monotonic()
        wanted = {tp.partition for tp in assignment if tp.topic == source}
        refuse_added(source, max(wanted, default=-1) + 1)
        await standby.keep_only({tp.partition for tp in app.assignor.assigned_standbys()} - wanted)
        await delivery.take(wanted)
        shards = await restore_shards(settings, playbook, wanted, applier.shards, stores)
        applier.take_over(shards)
        stores.close_others(wanted)
        liveness.take_over({TP(source, p): s.ledger.offset + 1 for p, s in shards.items()})
        metrics.lag.clear()  # of partitions that others have now
        metrics.last_progress = time.monotonic()
        metrics.recovered(metrics.last_progress - started, shards)
        standby.follow()
        return {
            TP(source, partition): shard.ledger.offset + 1
            for partition, shard in shards.items()
            if shard.ledger.offset >= 0
        }

    async def apply(tp: TP, records: Batch) -> None:
        await applier.apply(tp.partition, records)

    async def start() -> None:
        collector.begin()

    async def stop() -> None:
        collector.end()
        await standby.keep_only(set())
        await delivery.stop()
        stores.close()

    hooks = Hooks(restore, applier.give_back, stop, start, kept=stores.kept)
    app = new_app(settings, settings.group, hooks, settings.standbys)

    # acks=False: Faust keeps no book of this topic; the applier commits each batch itself.
    @app.agent(app.topic(source, schema=BatchSchema(), acks=False))  # type: ignore[untyped-decorator]
    async def fold(stream: Any) -> None:
        await consume(app, stream, apply)

    add_clock(app, settings, applier, metrics, liveness, collector)
    add_worker_pages(app, applier, metrics, liveness)
    return app
