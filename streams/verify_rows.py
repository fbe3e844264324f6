"""Hold the rows of one partition of a topic against the records that the log has of it."""

import asyncio
from typing import NamedTuple

from sinks.places import STEP, Held, Window, dead_places, doubled, words
from sinks.warehouse import Warehouse
from streams.log_places import Bits, before, count, mark, without


class Rows(NamedTuple):
    """A partition of a topic, and its rows in the warehouse."""

    topic: str
    """Its full name."""
    partition: int
    records: int
    """Records that must have a row: those the sink has passed, and that can be read."""
    rows: int
    first: int
    """The first offset that has a row; -1 for none."""
    last: int
    behind: int
    """Records that the sink has not passed yet."""
    missing: int
    extra: int
    """Rows of a place that has one already, or that has no record."""


class RowTally:
    """What is found of the rows of a partition, window by window.

    Attributes:
        missing: Places that have a record and no row.
        strange: Places that have a row and no record.
        doubled: Places that have several rows.
    """

    def __init__(self, warehouse: Warehouse, table: str, durable: int) -> None:
        """Begin a tally of the rows before the offset ``durable``."""
        self.missing: Bits = {}
        self.strange: Bits = {}
        self.doubled: Bits = {}
        self._warehouse = warehouse
        self._table = table
        self._durable = durable
        self._records = self._rows = self._behind = self._again = 0

    async def compare(self, window: Window, places: Bits, excused: Bits) -> None:
        """Compare a window of the log; what is excused may have a row, or none."""
        done = before(places, self._durable)
        self._behind += count(places) - count(done)
        window = window._replace(until=min(window.until, self._durable))
        if window.since >= window.until:
            return
        found = await asyncio.to_thread(words, self._warehouse, self._table, window)
        missing = without(without(done, found.bits), excused)
        strange = without(found.bits, done)
        self._rows += found.rows
        self._records += count(found.bits) - count(strange) + count(missing)
        self.missing |= missing
        self.strange |= strange
        await self._find_doubled(window, found.rows - count(found.bits))

    async def look_beyond(self, topic: str, partition: int, end: int, held: Held) -> None:
        """Look for rows past the end of the log."""
        if held.last >= end:
            window = Window(topic, partition, end, max(end + STEP, held.last + 1))
            mark(self.strange, [held.last])
            found = await asyncio.to_thread(
                words, self._warehouse, self._table, window._replace(until=end + STEP)
            )
            self.strange |= found.bits
            self._rows += found.rows
            await self._find_doubled(window, found.rows - count(found.bits))

    async def dead(self, window: Window) -> Bits:
        """Return the records of a window that have a dead letter in the warehouse."""
        return await asyncio.to_thread(dead_places, self._warehouse, window)

    def rows(self, topic: str, partition: int, held: Held) -> Rows:
        """Return the sums."""
        return Rows(
            topic, partition, self._records, self._rows, held.first, held.last, self._behind,
            count(self.missing), count(self.strange) + self._again,
        )  # fmt: skip

    async def _find_doubled(self, window: Window, more: int) -> None:
        if more:
            self._again += more
            mark(
                self.doubled,
                await asyncio.to_thread(doubled, self._warehouse, self._table, window),
            )
