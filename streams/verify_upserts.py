"""Hold the rows that replace one another against their topic: of each key the newest must be there.

The keys of a partition may be more than fit in memory, so they are taken in parts, by their CRC-32;
for each part the topic is read once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from sinks.places import Held
from sinks.upserts import Newest, newest
from sinks.warehouse import Warehouse
from streams.log_places import Bits, LogReader, count, mark
from streams.verify_rows import Rows

KEYS_AT_ONCE = 500_000
ROWS_AT_ONCE = 50_000
"""Of an answer: the parts are not quite equal, and 100,000 are allowed."""


@dataclass(frozen=True)
class Upserts:
    """A partition of a topic whose records replace one another.

    Attributes:
        topic: Its full name.
        partition: Its number.
        table: Where the rows are.
        decode: Reads a record; the result has ``key`` and ``version``.
        begin: The first offset that the topic still has.
        durable: The offset up to which the sink has stored rows.
        stored: What the table has of it.
    """

    topic: str
    partition: int
    table: str
    decode: Callable[[Any], Any]
    begin: int
    durable: int
    stored: Held


@dataclass
class UpsertTally:
    """What is found.

    Attributes:
        missing: Places of the newest records whose key has no row, or an older one.
        strange: Places, as they say, of rows that no record explains.
        doubled: Nothing: a key has one row.
    """

    missing: Bits = field(default_factory=dict)
    strange: Bits = field(default_factory=dict)
    doubled: Bits = field(default_factory=dict)
    keys: int = 0

    def rows(self, held: Upserts, behind: int) -> Rows:
        """Return the sums; the records are those that no later one replaces."""
        return Rows(
            held.topic, held.partition, self.keys, held.stored.rows, held.stored.first,
            held.stored.last, behind, count(self.missing), count(self.strange),
        )  # fmt: skip


async def compare(log: LogReader, warehouse: Warehouse, held: Upserts) -> UpsertTally:
    """Compare all keys of a partition."""
    tally = UpsertTally()
    passes = 1 + max(held.stored.rows, held.durable - held.begin) // KEYS_AT_ONCE
    parts = passes * (1 + held.stored.rows // (passes * ROWS_AT_ONCE))
    for number in range(passes):
        wanted = await _read(log, held, number, passes)
        tally.keys += len(wanted)
        for part in range(number, parts, passes):
            found = await asyncio.to_thread(
                newest, warehouse, held.table, held.topic, held.partition, (part, parts)
            )
            for key, row in found.items():
                _judge(tally, held, wanted.pop(key, None), row)
        mark(tally.missing, [record.offset for record in wanted.values()])
    return tally


async def _read(log: LogReader, held: Upserts, number: int, passes: int) -> dict[str, Newest]:
    """Return the newest record of each key of a part, of those that the sink has passed."""
    wanted: dict[str, Newest] = {}
    async for records in log.records(held.topic, held.partition, held.begin, held.durable):
        for record in records:
            if crc32(record.key) % passes == number:
                row = held.decode(record)
                known = wanted.get(row.key)
                if known is None or row.version >= known.version:
                    wanted[row.key] = Newest(row.version, record.offset)
    return wanted


def _judge(tally: UpsertTally, held: Upserts, record: Newest | None, row: Newest) -> None:
    if row.offset >= held.durable:
        return  # the sink has gone on meanwhile
    if record is None:
        if row.offset >= held.begin:  # else the topic has forgotten its record
            mark(tally.strange, [row.offset])
    elif row.version < record.version:
        mark(tally.missing, [record.offset])
    elif row.version > record.version:
        mark(tally.strange, [row.offset])
