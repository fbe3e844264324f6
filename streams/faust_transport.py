"""Faust's aiokafka transport, moved from one message at a time to one record batch at a time.

What is Faust's: the consumer thread, group membership, the conductor, the agents' queues.
What is ours: ``getmany`` hands the conductor one message for all records fetched from a partition,
and nothing is committed but what `Consumer.commit_batch` is told. Written for faust-streaming
0.15.3, aiokafka 0.14.0 and mode-streaming 0.7.1 (docs/decisions/0004); `assert_versions` refuses
others, because each override below replaces a method whose text was read.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import version
from typing import Any

from aiokafka.record import default_records
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.faust_fetching import Batch, ConsumerThread, Reach

WRITTEN_FOR = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}


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


class BatchSchema(Schema):  # type: ignore[misc]
    """A topic schema that passes the list of records through: decoding is the agent's work."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        """Return nothing: each record of the batch has its own key."""

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        """Return the batch, a list of aiokafka ``ConsumerRecord``."""
        return message.value


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

    def release(self, tp: TP) -> None:
        """Let the next batch of a partition come: the one in hand is done."""
        self._thread.release(tp)

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

    async def partitions(self, topic: str) -> int:
        """Return how many partitions the topic had a while ago; 0: unknown."""
        return int(await self._thread.call_thread(self._thread.partitions, topic))

    async def committed(self, tps: set[TP]) -> dict[TP, int]:
        """Ask the broker which offset the group has committed in each partition, 0 for none."""
        return dict(await self._thread.call_thread(self._thread.committed, tps)) if tps else {}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = Consumer
