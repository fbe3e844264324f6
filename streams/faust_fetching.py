"""The thread that fetches: Faust's, with one record batch of a partition in hand at a time."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

FETCH_WAIT_MS = 100


class GapError(RuntimeError):
    """Records between two batches were not handed out. A restart reads them again."""


class Batch(list[Any]):
    """The records of a partition, as they were fetched together."""

    after = -1
    """The offset that was handed out before its first record, or that was sought before it."""
    epoch = 0
    """How often partitions had been given back when it was handed out."""

    def require_after(self, done: int) -> None:
        """Make sure that nothing lies between the offset ``done`` and this batch.

        Offsets alone cannot tell: the marks of transactions leave holes between them.

        Raises:
            GapError: something does.
        """
        if self.after > done:
            raise GapError(f"records from offset {done + 1} to {self.after} were not handed out")


class Reach(NamedTuple):
    """How far a partition goes, and how far it was read here."""

    end: int
    """The offset after the last record, as the broker has it."""
    read: int
    """The offset of the last record handed to the agents; -1 for none since the start."""
    position: int
    """The offset that is fetched next: past ``read`` where transactions left their marks."""

    def behind(self, done: int) -> int:
        """Return how many records are not done, if those before the offset ``done`` are."""
        return max(self.end - self.position, 0) + max(self.read + 1 - done, 0)


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, which also remembers how far it has handed records out.

    It hands out one batch of a partition at a time. What comes meanwhile waits in aiokafka, and
    makes the next batch: so batches grow with the load, and Faust's queue, whose fetches stop for
    a second when it is full, never is.
    """

    fetched: dict[TP, int]
    held: set[TP]
    """Partitions with a batch in hand."""
    room: asyncio.Event
    """Set when such a batch is done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fetched, self.held, self.room = {}, set(), asyncio.Event()

    def _crash(self, reason: BaseException) -> None:
        """Go on until told to stop, whoever has crashed: batches in flight wait for their commits.

        Faust's thread ends here and now. What it was asked is never answered then, and stopping
        it fails.
        """
        self.crash_reason = reason

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Read committed records only, which Faust ties to transactions of its own."""
        consumer = super()._create_worker_consumer(transport)
        # Faust's 1.5 s would hold up a partition that joins while an empty fetch is under way.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - fixed by Faust
        consumer._isolation_level = self.app.isolation  # noqa: SLF001 - fixed by Faust
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active: set[TP],
        timeout: float,  # noqa: ASYNC109 - Faust's signature
        max_records: int,
    ) -> dict[TP, Batch]:
        """Return what there is of partitions without a batch in hand, or nothing in time."""
        ends = time.monotonic() + timeout
        # To aiokafka, who waits for room would be idle, and be put out of the group in the end.
        with consumer._fetcher._subscriptions.fetch_context():  # noqa: SLF001 - as Faust does
            while True:
                self.room.clear()
                records: dict[TP, list[Any]] = {}
                if free := active - self.held:
                    records = await super()._fetch_records(consumer, free, 0, max_records)
                left = ends - time.monotonic()
                if records or left <= 0 or not self.consumer.flow_active:
                    return {TP(*tp): self._hand_out(TP(*tp), r) for tp, r in records.items()}
                await self._wait_for_more(consumer, left)

    def _hand_out(self, tp: TP, found: list[Any]) -> Batch:
        batch = Batch(found)
        batch.after = self.fetched.get(tp, -1)
        self.fetched[tp] = found[-1].offset
        self.held.add(tp)
        return batch

    async def _wait_for_more(self, consumer: Any, seconds: float) -> None:
        """Wait until records have come, or there is room for some that had.

        Raises:
            aiokafka.errors.KafkaError: they cannot be had, for good.
        """
        fetched = consumer._fetcher._create_fetch_waiter()  # noqa: SLF001 - as getmany does
        room = asyncio.ensure_future(self.room.wait())
        waited = {fetched, room}
        try:
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if fetched.done():
                fetched.result()
        finally:
            for each in waited:
                each.cancel()

    def release(self, tp: TP) -> None:
        """Let the next batch of a partition be handed out. May be called from any thread."""
        with suppress(RuntimeError):  # the thread has ended
            self.thread_loop.call_soon_threadsafe(self._release, tp)

    def _release(self, tp: TP) -> None:
        self.held.discard(tp)
        self.room.set()

    def seek(self, partition: TP, offset: int) -> None:
        """Go on at an offset: what comes before it counts as handed out.

        That is noted first. A fetch that comes in between is then found to leave a gap. Whatever
        was in hand is void: a rebalance that throws batches away ends with a seek.
        """
        self.fetched[partition] = offset - 1
        super().seek(partition, offset)
        self.release(partition)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go on at the group's offsets, at the beginning where it has none."""
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return offsets

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        """Seek in the thread that fetches: no fetch can come between the seek and the note of it.

        aiokafka leaves partitions without an offset where they are: past records that a rebalance
        has discarded.
        """
        consumer = self._ensure_consumer()
        offsets: Mapping[TP, int] = await consumer.seek_to_committed()
        for tp in consumer.assignment() & offsets.keys():
            self.seek(TP(*tp), offsets[tp] or 0)
        return offsets

    async def unread(self, records: Mapping[TP, Batch]) -> None:
        """Take back records that nobody was given, unless their partition was sought since."""
        held = self.assignment()
        for tp, batch in records.items():
            if tp in held and self.fetched.get(tp) == batch[-1].offset:
                self.seek(tp, batch[0].offset)
                self.fetched[tp] = batch.after

    async def reach(self, tps: set[TP]) -> dict[TP, Reach]:
        """Compare the broker's ends with the positions here.

        Both are read in the thread that also hands records out, so that no record can be on its
        way between the two. Partitions that have gone elsewhere meanwhile are left out.
        """
        consumer = self._ensure_consumer()
        ends = await consumer.end_offsets(tps)
        reach = {}
        for tp, end in ends.items():
            with suppress(IllegalStateError):  # it was given back while the broker was asked
                reach[tp] = Reach(end, self.fetched.get(tp, -1), await consumer.position(tp))
        return reach

    async def partitions(self, topic: str) -> int:
        """Return how many partitions the topic had when the broker was asked last; 0: unknown."""
        return len(self._ensure_consumer().partitions_for_topic(topic) or ())

    async def committed(self, tps: set[TP]) -> dict[TP, int]:
        """Ask the broker for the group's offsets, 0 for none: transactions move them, too."""
        consumer, asked = self._ensure_consumer(), list(tps)
        answers = await asyncio.gather(*map(consumer.committed, asked))
        return {tp: offset or 0 for tp, offset in zip(asked, answers, strict=True)}
