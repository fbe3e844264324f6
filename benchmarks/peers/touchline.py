"""The job on Touchline's machinery, or the whole worker on the same topic.

    python -m peers.touchline BOOTSTRAP SOURCE PREFIX fold|PLAYBOOK kafka|plain

``fold`` plugs the peers' step into the worker's own transport, applier and delivery. A playbook's
name runs the real worker with it, which does far more for each event. ``plain`` delivers in order,
without transactions.
"""

import sys
from collections.abc import Iterable
from typing import Any

import faust
from faust.types import TP

from peers.job import State, step
from processors.due_index import DueIndex
from processors.partition import Counts, Effects
from processors.playbook import Playbook, compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.records import Touchpoint
from streams.app import build_app
from streams.apply import BatchApplier
from streams.delivery import Delivery, OrderedDelivery, TransactionalDelivery
from streams.faust_app import App, Hooks, consume, new_app
from streams.faust_fetching import Batch
from streams.faust_transport import BatchSchema
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.table import Shard


class Announcing(Codec):
    """Touchline's codec, which says once that it has the first record in hand."""

    def decode_touchpoint(self, value: bytes | None) -> Touchpoint:
        """Return the touchpoint in a Kafka value."""
        print("first", flush=True)
        self.decode_touchpoint = super().decode_touchpoint  # type: ignore[method-assign]
        return self.decode_touchpoint(value)


class PeerSettings(Settings):
    """Settings whose source stands outside the prefix: all peers read one topic."""

    source: str

    def new_codec(self) -> Codec:
        """Return the codec that announces the first record."""
        return Announcing()

    def topic(self, name: str) -> str:
        """Return the topic's name on the broker."""
        return self.source if name == "touchpoints" else super().topic(name)


class FifthOrders:
    """A partition that takes the peers' step; `BatchApplier` drives it as it drives the fold's."""

    def __init__(self, playbook: Playbook) -> None:
        self.profiles: dict[str, State] = {}
        self.clock = 0
        self.counts = Counts()
        self.due = DueIndex()
        self.playbook = playbook
        self.funnels: dict[str, str] = {}

    def fire_others(self, *_: object) -> Effects:
        """Fire nothing: there are no timers."""
        return Effects()

    def apply(self, batch: Iterable[tuple[Touchpoint, int]], **_: object) -> Effects:
        """Apply touchpoints, each with the time of its record; there are no sums and no timers."""
        changed: dict[str, Any] = {}
        effects, profiles = Effects(), self.profiles
        for touchpoint, at in batch:
            self.clock = max(at, self.clock)
            user_id = touchpoint.user_id
            state, action = step(profiles.get(user_id), touchpoint)
            profiles[user_id] = changed[user_id] = state
            if action is not None:
                effects.actions.append(action)
            self.counts.applied += 1
        effects.changed = changed
        return effects


def build_fold(settings: PeerSettings) -> App:
    """Build the worker of ``streams/app.py`` over the small step: no timers, nothing to restore."""
    source = settings.source
    metrics = WorkerMetrics()

    async def commit(partition: int, offset: int) -> bool:
        return bool(await app.consumer.commit_batch({TP(source, partition): offset}))

    delivery: Delivery = (
        TransactionalDelivery(settings)
        if settings.broker == "kafka"
        else OrderedDelivery(settings, commit)
    )
    playbook = compile_playbook(find_playbook("second-purchase"))  # rows name one; its rules rest
    applier = BatchApplier(settings, settings.new_codec(), delivery, metrics)

    async def restore(assignment: set[TP]) -> dict[TP, int]:
        wanted = {tp.partition for tp in assignment if tp.topic == source}
        await delivery.take(wanted)
        fifth: dict[int, Any] = {partition: FifthOrders(playbook) for partition in wanted}
        applier.take_over({number: Shard(each) for number, each in fifth.items()})
        return {}

    async def apply(tp: TP, records: Batch) -> None:
        await applier.apply(tp.partition, records)

    app = new_app(settings, settings.group, Hooks(restore, applier.give_back, delivery.stop))

    @app.agent(app.topic(source, schema=BatchSchema(), acks=False))  # type: ignore[untyped-decorator]
    async def fold(stream: Any) -> None:
        await consume(app, stream, apply)

    return app


def main() -> None:
    """Run until SIGTERM."""
    bootstrap, source, prefix, work, broker = sys.argv[1:6]
    settings = PeerSettings(
        bootstrap=bootstrap,
        source=source,
        topic_prefix=prefix,
        group=f"{prefix}group",
        broker=broker,
        playbook=work,
        web_port=0,
    )
    app = build_fold(settings) if work == "fold" else build_app(settings)
    faust.Worker(
        app, loglevel="warning", redirect_stdouts=False, quiet=True
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
