"""Faust's aiokafka transport, moved from one message at a time to one record batch at a time.

What is Faust's: the consumer thread, group membership, the conductor, the agents' queues.
What is ours: ``getmany`` hands the conductor one message for all records fetched from a partition,
and nothing is committed but what `Consumer.commit_batch` is told. Written for faust-streaming
0.15.3, aiokafka 0.14.0 and mode-streaming 0.7.1 (docs/decisions/0004); `assert_versions` refuses
others, because each override below replaces a method whose text was read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any, NamedTuple

from aiokafka.errors import IllegalStateError
from aiokafka.record import default_records
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

WRITTEN_FOR = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}

FETCH_WAIT_MS = 100


def assert_versions() -> None:
    """Refuse to run over another Faust than the one that the overrides were written for.

    Raises:
        RuntimeError: names each package whose version differs, or a missing C extension.
    """
    if not default_records.DefaultRecordBatchBuilder.__module__.startswith("aiokafka.record._crec"):
        raise RuntimeError(
            "aiokafka runs without its C extension, ten times slower: install a wheel of it"
        )
    other = {
        name: found for name, wanted in WRITTEN_FOR.items() if (found := version(name)) != wanted
    }
    if other:
        raise RuntimeError(
            f"touchline overrides parts of {WRITTEN_FOR}, but finds {other}: "
            "install the pinned versions (pip install -c constraints.txt touchline)"
        )


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


class BatchSchema(Schema):  # type: ignore[misc]
    """A topic schema that passes the list of records through: decoding is the agent's work."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        """Return nothing: each record of the batch has its own key."""

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        """Return the batch, a list of aiokafka ``ConsumerRecord``."""
        return message.value


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
    """Faust's consumer thread, which also remembers how far it has handed records out."""

    fetched: dict[TP, int]

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Read committed records only, which Faust ties to transactions of its own."""
        consumer = super()._create_worker_consumer(transport)
        # Faust's 1.5 s would hold up a partition that joins while an empty fetch is under way.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - fixed by Faust
        consumer._isolation_level = self.app.isolation  # noqa: SLF001 - fixed by Faust
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> dict[TP, Batch]:
        records: dict[TP, list[Any]] = await super()._fetch_records(*args, **kwargs)
        batches = {}
        for tp, found in records.items():
            batches[tp] = batch = Batch(found)
            batch.after = self.fetched.get(tp, -1)
            self.fetched[tp] = found[-1].offset
        return batches

    def seek(self, partition: TP, offset: int) -> None:
        """Go on at an offset: what comes before it counts as handed out.

        That is noted first. A fetch that comes in between is then found to leave a gap.
        """
        self.fetched[partition] = offset - 1
        super().seek(partition, offset)

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

    async def committed(self, tps: set[TP]) -> dict[TP, int]:
        """Ask the broker for the group's offsets, 0 for none: transactions move them, too."""
        consumer, asked = self._ensure_consumer(), list(tps)
        answers = await asyncio.gather(*map(consumer.committed, asked))
        return {tp: offset or 0 for tp, offset in zip(asked, answers, strict=True)}


class Consumer(driver.Consumer):  # type: ignore[misc]
    """A consumer that yields record batches and commits only what it is told."""

    #: Awaited before partitions are given back: returns when no batch is in flight.
    give_back: Callable[[], Any] | None = None
    #: How often partitions were given back: a batch of an earlier epoch is stale.
    epoch = 0

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's signature
        """Yield one message for each partition that has records; its value is their list.

        The offset of the message is that of the last record. Faust's own version yields record
        by record; the guards against a rebalance in between are the same.
        """
        records, _active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:  # fetched while partitions were taken away
            await self._thread.call_thread(self._thread.unread, records)
            return
        for tp, batch in records.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            yield tp, self._to_batch(tp, batch)

    def _to_batch(self, tp: TP, records: Batch) -> ConsumerMessage:
        records.epoch = self.epoch
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            (),  # headers
            None,  # key
            records,
            None,  # checksum
            None,  # key size
            None,  # value size
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def commit_batch(self, offsets: Mapping[TP, int]) -> bool:
        """Commit the offset after the last record of a finished batch, for each partition.

        Returns False when the group has moved on: the new owner applies the records again, and
        the offsets kept with the profiles make that a no-op.
        """
        return bool(await self._thread.commit(offsets))

    async def wait_empty(self) -> None:
        """Wait until the batch in flight is finished and committed (Faust loses acks here).

        A recovery that is under way is abandoned: the partitions it would take go to others.
        """
        self.epoch += 1
        await self.app.tables.recovery.abandon()
        if self.give_back is not None:
            await self.give_back()

    async def reach(self, tps: set[TP]) -> dict[TP, Reach]:
        """Ask the broker how far each partition goes, and how far it was read here."""
        return dict(await self._thread.call_thread(self._thread.reach, tps)) if tps else {}

    async def committed(self, tps: set[TP]) -> dict[TP, int]:
        """Ask the broker which offset the group has committed in each partition, 0 for none."""
        return dict(await self._thread.call_thread(self._thread.committed, tps)) if tps else {}

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.fetched = {}
        return thread


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = Consumer
