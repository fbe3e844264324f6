"""A Faust app over the batch transport: what a worker and a sink have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import faust
from faust.types import TP

from schemas.registry import RegistryUnavailable
from sinks.warehouse import WarehouseError
from streams.admin import TopicsError
from streams.ceiling import TooManyDeadLetters
from streams.continuity import StateLost
from streams.delivery import NotTaken
from streams.faust_assignor import Assignor
from streams.faust_fetching import Batch, GapError
from streams.faust_recovery import Restore, Tables
from streams.faust_transport import Consumer, Transport, assert_versions
from streams.settings import Settings
from streams.store import StoreError

FETCH_BYTES = 4 * 1024 * 1024
METADATA_MS = 60_000
"""How long a partition that somebody adds goes unseen."""
# More than a worker has partitions: one batch of each is in hand at most. Were it full, Faust
# would stop fetching for a second.
BUFFERED_BATCHES = 10_000


TOLD = (
    GapError, NotTaken, RegistryUnavailable, StateLost, StoreError, TooManyDeadLetters,
    TopicsError, WarehouseError,
)  # fmt: skip
"""Errors whose message says what is wrong and what to do."""


@dataclass(frozen=True)
class Hooks:
    """What Faust calls us for, outside the agents."""

    restore: Restore
    """After each rebalance: bring the assignment's state up, return where to read on."""
    give_back: Callable[[], Awaitable[None]]
    """Before partitions are given back: return when no batch is in flight, begin no other."""
    stop: Callable[[], Awaitable[None]]
    """After the last batch."""
    start: Callable[[], Awaitable[None]] | None = None
    """Before anything is consumed."""
    kept: Callable[[], set[int]] = set
    """When the group is joined: the partitions whose state is on this worker's disk already."""


class App(faust.App):  # type: ignore[misc]
    """A Faust app that moves record batches and ends its process at the first failure."""

    hooks: Hooks
    isolation = "read_committed"
    fatal: BaseException | None = None

    async def die(self, error: BaseException) -> None:
        """Stop the process with this error: what it could not finish is done after the restart.

        What comes after the first error comes of it. One that names its cause and its cure is told
        without the way to it.
        """
        if self.fatal is not None:
            return
        self.fatal = error
        self.log.error("stopping: %s: %s", type(error).__name__, error)
        if isinstance(error, TOLD):
            error.__traceback__ = error.__cause__ = error.__context__ = None
        await self.crash(error)

    async def on_start(self) -> None:
        """Start what the agents need before Faust starts its own services."""
        await super().on_start()
        try:
            if self.hooks.start is not None:
                await self.hooks.start()
        except Exception as error:
            self.fatal = error
            raise

    async def on_stop(self) -> None:
        """Let Faust finish and commit the batch in flight, then stop what it needed."""
        await super().on_stop()
        await self.hooks.stop()

    def _create_directories(self) -> None:
        """Create none: nothing of ours lives in Faust's data folder."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_consumer(self) -> Consumer:
        consumer: Consumer = super()._new_consumer()
        consumer.give_back = self.hooks.give_back
        return consumer


def new_app(settings: Settings, group: str, hooks: Hooks, standbys: int = 0) -> App:
    """Make the app; nothing connects before it is started.

    Args:
        settings: Of the process.
        group: The consumer group that it joins.
        hooks: What is ours to do.
        standbys: How many other members keep a copy of each partition's state.

    Raises:
        RuntimeError: Faust is not the version that the overrides were written for.
    """
    assert_versions()
    app = App(
        group,
        broker=[f"kafka://{host}" for host in settings.bootstrap.split(",")],
        broker_max_poll_records=settings.batch_records,
        broker_session_timeout=settings.session_timeout,
        broker_rebalance_timeout=settings.rebalance_timeout,
        broker_request_timeout=max(90.0, settings.session_timeout),
        broker_heartbeat_interval=settings.session_timeout / 15,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance or None,
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_metadata_max_age_ms=METADATA_MS,
        stream_buffer_maxsize=BUFFERED_BATCHES,
        stream_wait_empty=True,
        table_standby_replicas=standbys,
        PartitionAssignor=Assignor,
        TableManager=Tables,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=settings.web_port > 0,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_port=settings.web_port or 6066,
        web_tables_enabled=False,
        web_router_enabled=False,
    )
    app.hooks = hooks
    app.isolation = "read_committed" if settings.broker == "kafka" else "read_uncommitted"
    return app


Apply = Callable[[TP, Batch], Awaitable[None]]


async def consume(app: App, stream: Any, apply: Apply) -> None:
    """Run an agent's loop: hand each record batch to ``apply``; end the process if it fails.

    The batches of a partition go one after the other. Those of different partitions overlap:
    while one waits for its acknowledgement, another is decoded and folded.
    """
    running: dict[TP, asyncio.Task[None]] = {}
    try:
        async for event in stream.events():
            tp = event.message.tp
            if tp in running:
                await running[tp]
            running[tp] = asyncio.create_task(_apply(app, tp, event.value, apply))
    finally:
        await asyncio.gather(*running.values())


async def _apply(app: App, tp: TP, batch: Batch, apply: Apply) -> None:
    """Apply one batch.

    An exception that left the agent would be acknowledged by Faust and the next batch applied.
    A batch from before a rebalance is left out: its records are read again.
    """
    if batch.epoch != app.consumer.epoch:
        return
    try:
        await apply(tp, batch)
        app.consumer.release(tp)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing may follow it
        await app.die(error)
