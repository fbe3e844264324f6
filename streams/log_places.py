"""Read from the broker which offsets of the log have a record, and how far each group is."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec.msgpack import decode

from sinks.places import WORD
from streams.rows import LEDGER_KEY, Ledger
from streams.settings import Settings

FETCH_BYTES = 8 * 1024 * 1024
WAIT_MS = 20
"""How long to wait for records: where only the mark of a transaction is left, none come."""
SILENCE = 60_000 // WAIT_MS
"""How often to wait for nothing before the log is not waited for any more."""

STOP_SECONDS = 1.0
"""How long a consumer may take to stop before it is told again."""

Bits = dict[int, int]
"""Places by ``offset // 64``, a bit for each, as `sinks.places.Words`."""


class LogUnreadableError(ConnectionError):
    """The broker does not answer, or does not give records that should be there."""


class LogReader:
    """Reads a log without being a member of any group."""

    def __init__(self, consumer: AIOKafkaConsumer, *, tells_ends: bool) -> None:
        """Read with this consumer; the embedded broker's ListOffsets falls short of the ends."""
        self._consumer = consumer
        self._tells_ends = tells_ends

    async def reach(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset of each partition, and the one after its last."""
        tps = [TopicPartition(topic, number) for number in partitions]
        begins = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        if not self._tells_ends:
            ends = {tp: max(end, await self._high_water(tp, end)) for tp, end in ends.items()}
        return {tp.partition: (begins[tp], ends[tp]) for tp in tps}

    async def _high_water(self, tp: TopicPartition, since: int) -> int:
        """Return the end of a partition as the answer to a fetch says it."""
        self._consumer.assign([tp])
        self._consumer.seek(tp, since)
        await self._consumer.getmany(tp, timeout_ms=10 * WAIT_MS)
        return self._consumer.highwater(tp) or 0

    async def committed(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset that the group has committed in each partition, 0 for none."""
        return {
            number: await self._consumer.committed(TopicPartition(topic, number)) or 0
            for number in partitions
        }

    async def first_since(self, topic: str, partition: int, time: int) -> int | None:
        """Return the offset of the first record of this time or later; None without one."""
        tp = TopicPartition(topic, partition)
        found = (await self._consumer.offsets_for_times({tp: time}))[tp]
        return None if found is None else int(found.offset)

    async def records(
        self, topic: str, partition: int, since: int, until: int
    ) -> AsyncIterator[list[Any]]:
        """Yield the records of some offsets, batch by batch.

        Raises:
            LogUnreadableError: they are not there.
        """
        tp, silent = TopicPartition(topic, partition), 0
        if since >= until:
            return  # stopped right after an assignment, a consumer may hang for minutes
        self._consumer.assign([tp])
        self._consumer.seek(tp, since)
        # The marks of transactions take offsets, too: the position says when all is read.
        while await self._consumer.position(tp) < until:
            batches = await self._consumer.getmany(tp, timeout_ms=WAIT_MS)
            silent = 0 if batches else silent + 1
            if silent > SILENCE:
                raise LogUnreadableError(
                    f"{topic} of partition {partition}: nothing comes from offset "
                    f"{await self._consumer.position(tp)} on, where there should be records up to "
                    f"{until - 1}: is the broker well, was the topic cut?"
                )
            for found in batches.values():
                yield [record for record in found if since <= record.offset < until]

    async def places(self, topic: str, partition: int, since: int, until: int) -> Bits:
        """Return which of these offsets have a record."""
        bits: Bits = {}
        async for records in self.records(topic, partition, since, until):
            mark(bits, [record.offset for record in records])
        return bits

    async def ledger(self, topic: str, partition: int) -> Ledger:
        """Return the last ledger of a changelog partition: it is among its last rows."""
        ((begin, end),) = (await self.reach(topic, [partition])).values()
        many = 64
        while end > begin:
            since = max(begin, end - many)
            found = await self.ledgers(topic, partition, since, end)
            if found:
                return found[-1]
            if since == begin:
                break
            many *= 16
        return Ledger()

    async def ledgers(self, topic: str, partition: int, since: int, until: int) -> list[Ledger]:
        """Return the ledgers in these offsets of a changelog partition."""
        return [
            decode(record.value, type=Ledger)
            async for records in self.records(topic, partition, since, until)
            for record in records
            if record.key == LEDGER_KEY
        ]


@asynccontextmanager
async def open_log(settings: Settings, group: str | None = None) -> AsyncIterator[LogReader]:
    """Connect; ``group`` is whose committed offsets can be asked for, if any.

    Raises:
        LogUnreadableError: no broker answers, or it stopped answering.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if settings.broker == "kafka" else "read_uncommitted",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=WAIT_MS,  # a fetch at one partition's end would hold up the next
    )
    try:
        await consumer.start()
        yield LogReader(consumer, tells_ends=settings.broker == "kafka")
    except KafkaError as error:
        raise LogUnreadableError(f"{settings.bootstrap}: {error!r}: is Kafka well?") from error
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; its fetcher loses a cancel that comes while it changes its partition."""
    stopping = asyncio.ensure_future(consumer.stop())
    while not stopping.done():
        await asyncio.wait([stopping], timeout=STOP_SECONDS)
        stopping.cancel()  # if it still waits for the fetcher, this cancels that once more
    with suppress(asyncio.CancelledError):
        stopping.result()


def mark(bits: Bits, offsets: Iterable[int]) -> None:
    """Set the bits of these offsets."""
    for offset in offsets:
        word, bit = divmod(offset, WORD)
        bits[word] = bits.get(word, 0) | 1 << bit


def before(bits: Bits, offset: int) -> Bits:
    """Return the places before an offset."""
    word, bit = divmod(offset, WORD)
    kept = {number: held for number, held in bits.items() if number < word}
    if part := bits.get(word, 0) & ((1 << bit) - 1):
        kept[word] = part
    return kept


def from_on(bits: Bits, offset: int) -> Bits:
    """Return the places from an offset on."""
    return without(bits, before(bits, offset))


def between(bits: Bits, since: int, until: int) -> Bits:
    """Return the places of a few offsets, from ``since`` to before ``until``."""
    some = {word: bits[word] for word in range(since // WORD, until // WORD + 1) if word in bits}
    return without(before(some, until), before(some, since))


def without(bits: Bits, others: Bits) -> Bits:
    """Return the places that are not among the others."""
    left = {word: held & ~others.get(word, 0) for word, held in bits.items()}
    return {word: held for word, held in left.items() if held}


def count(bits: Bits) -> int:
    """Return how many places there are."""
    return sum(held.bit_count() for held in bits.values())


def named(bits: Bits, most: int = 5) -> str:
    """Write the places for people: ``3, 17-20 and 41 more``."""
    offsets = (
        word * WORD + bit for word in sorted(bits) for bit in range(WORD) if bits[word] >> bit & 1
    )
    runs: list[list[int]] = []
    named_places = 0
    for offset in offsets:
        if runs and runs[-1][1] == offset - 1:
            runs[-1][1] = offset
        elif len(runs) == most:
            break
        else:
            runs.append([offset, offset])
        named_places += 1
    written = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
    more = count(bits) - named_places
    return f"{written} and {more} more" if more else written
