"""How what a batch caused leaves the worker: in one Kafka transaction, or in a fixed order.

Both promise that actions, facts and dead letters are durable before, or together with, the
profiles, and these before, or together with, the offset. Only transactions also promise that a
reader of committed records sees each of them once, and that a worker which lost its partition and
does not know it yet can write nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from aiokafka import AIOKafkaProducer, TopicPartition

from streams.outbox import Row, new_producer, send_rows
from streams.settings import Settings

TAKE_SECONDS = 120.0

Commit = Callable[[int, int], Awaitable[bool]]
Announcements = Mapping[str, list[Row]]
"""Rows by the full name of their topic."""


class NotTaken(TimeoutError):  # noqa: N818 - says what is so, like BrokenPipe
    """The brokers did not make this worker the writer of its partitions in time."""


class Delivery(Protocol):
    """Where `BatchApplier` puts what a batch caused."""

    async def take(self, partitions: set[int]) -> None:
        """Become the writer of these partitions and of no others, before their state is read."""

    async def deliver(
        self, partition: int, announcements: Announcements, state: Iterable[Row], offset: int
    ) -> int:
        """Make everything durable, and the offset committed; return the changelog's new end.

        Raises:
            aiokafka.errors.KafkaError: not everything is durable. The worker must end: after a
                restart it goes on from what is.
        """

    async def stop(self) -> None:
        """Disconnect."""


class TransactionalDelivery:
    """One transaction for each batch, with a transactional id for each input partition.

    Taking a partition starts a producer of its id anew. That aborts what an earlier owner has
    left open and fences it (KIP-98), so the state that is read afterwards is final.
    """

    def __init__(self, settings: Settings, patience: float = TAKE_SECONDS) -> None:
        """Begin with no partition.

        Args:
            settings: Where to write.
            patience: Seconds that the brokers have to finish what earlier owners left open.
        """
        self._settings = settings
        self._patience = patience
        self._producers: dict[int, AIOKafkaProducer] = {}

    async def take(self, partitions: set[int]) -> None:
        """Fence every other writer of these partitions.

        Raises:
            NotTaken: the brokers did not do it in time; nothing was read or written.
        """
        await self.stop()
        group = self._settings.group
        self._producers = {
            partition: new_producer(self._settings, f"{group}-{partition}")
            for partition in partitions
        }
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.gather(*(producer.start() for producer in self._producers.values()))
        except TimeoutError as error:
            raise NotTaken(
                f"partitions {sorted(partitions)} were not taken in {self._patience:.0f} s: the "
                "brokers do not finish the transactions of an earlier owner. Are all of them up, "
                "and enough replicas of __transaction_state in sync? Nothing was read or written"
            ) from error

    async def deliver(
        self, partition: int, announcements: Announcements, state: Iterable[Row], offset: int
    ) -> int:
        """Send everything in one transaction, the offset included."""
        settings, producer = self._settings, self._producers[partition]
        source = TopicPartition(settings.topic("touchpoints"), partition)
        async with producer.transaction():
            end, *_ = await asyncio.gather(
                send_rows(producer, settings.topic("profiles-changelog"), partition, state),
                *(send_rows(producer, topic, partition, r) for topic, r in announcements.items()),
            )
            await producer.send_offsets_to_transaction({source: offset}, settings.group)
        return end + 1  # the mark of the commit takes an offset, too

    async def stop(self) -> None:
        """Disconnect all producers, to the end even if nobody waits for it any more."""
        producers, self._producers = self._producers, {}
        await asyncio.shield(asyncio.gather(*(each.stop() for each in producers.values())))


class OrderedDelivery:
    """For brokers without transactions: each step is acknowledged before the next is sent."""

    def __init__(self, settings: Settings, commit: Commit) -> None:
        self._settings = settings
        self._commit = commit
        self._producer: AIOKafkaProducer | None = None

    async def take(self, partitions: set[int]) -> None:
        """Connect at the first assignment; nobody else can be kept out here."""
        if self._producer is None:
            self._producer = new_producer(self._settings)
            await self._producer.start()

    async def deliver(
        self, partition: int, announcements: Announcements, state: Iterable[Row], offset: int
    ) -> int:
        """Send the announcements, then the state, then commit the offset."""
        producer, settings = self._producer, self._settings
        if producer is None:
            raise RuntimeError("no partition was taken")
        await asyncio.gather(
            *(send_rows(producer, topic, partition, rows) for topic, rows in announcements.items())
        )
        end = await send_rows(producer, settings.topic("profiles-changelog"), partition, state)
        await self._commit(partition, offset)
        return end

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
