"""Rows on their way to one table: gathered, inserted until it works, and only then committed."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faust.types import TP

from sinks.tables import Table
from sinks.warehouse import Warehouse, WarehouseUnavailable
from streams.metrics import SinkMetrics
from streams.sink_check import RowCheck

FULL = 50_000
FIRST_WAIT = 0.25
LONGEST_WAIT = 15.0

log = logging.getLogger(__name__)


class SinkBuffer:
    """Gathers rows of one table and the offsets that they bring its topics to.

    A row is durable before its offset is committed. A row inserted twice (a lost answer, a
    restart) has the same place in the log and replaces itself. While ClickHouse is away the
    buffer stays full, its agents wait, no other batch comes to them, and memory stays bounded.

    Attributes:
        durable: For each partition, the offset up to which its rows are durable.
        check: Whether these rows are there still.
    """

    def __init__(
        self,
        table: Table[Any],
        warehouse: Warehouse,
        commit: Callable[[dict[TP, int]], Awaitable[bool]],
        metrics: SinkMetrics,
    ) -> None:
        self._table = table
        self._warehouse = warehouse
        self._commit = commit
        self._metrics = metrics
        self.check = RowCheck(table.name, warehouse, metrics)
        self.durable: dict[TP, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._counts: Counter[TP] = Counter()
        self._begins: dict[TP, int] = {}
        self._offsets: dict[TP, int] = {}
        self._lock = asyncio.Lock()
        self._revoked = asyncio.Event()
        self._insert_since: float | None = None
        self._refusal = ""

    @property
    def waiting(self) -> int:
        """How many rows are not durable yet."""
        return len(self._rows)

    @property
    def holds(self) -> bool:
        """Whether it holds records whose offsets are not committed yet."""
        return bool(self._offsets) or self._insert_since is not None

    @property
    def refused(self) -> bool:
        """Whether ClickHouse was away when rows were last given to it, which wait still."""
        return bool(self._refusal)

    @property
    def waits_for(self) -> str:
        """What an insert that is under way waits for; '' while none is."""
        if self._insert_since is None:
            return ""
        seconds = time.monotonic() - self._insert_since
        return f"ClickHouse, to take rows of {self._table.name}: {seconds:.0f} s{self._refusal}"

    async def add(self, tp: TP, rows: Sequence[tuple[Any, ...]], begin: int, offset: int) -> None:
        """Take the rows from ``begin`` to before ``offset``; insert when enough are gathered."""
        async with self._lock:
            self._rows.extend(rows)
            kept_since = self.check.kept_since
            self._counts[tp] += sum(row[-1] >= kept_since for row in rows)  # when appended
            self._begins.setdefault(tp, begin)
            self._offsets[tp] = offset
            if len(self._rows) >= FULL:
                await self._flush()

    async def flush(self) -> None:
        """Insert what is gathered, then commit its offsets.

        Raises:
            sinks.warehouse.WarehouseRefused: the table does not take these rows.
        """
        async with self._lock:
            await self._flush()

    async def discard(self) -> None:
        """Forget what is not durable: its partitions are given back, and will be read again."""
        self._revoked.set()  # ends a wait for ClickHouse, which may be long
        async with self._lock:
            self._rows, self._offsets, self._begins = [], {}, {}
            self._counts.clear()
            self.durable.clear()
            self.check.forget()
            self._revoked.clear()

    async def _flush(self) -> None:
        rows, self._rows = self._rows, []
        offsets, self._offsets = self._offsets, {}
        begins, self._begins = self._begins, {}
        counts, self._counts = self._counts, Counter()
        if rows and not await self._insert(rows):
            return
        if offsets:
            await self._commit(offsets)
            self.durable |= offsets
            if not self._table.upserts:
                for tp, offset in offsets.items():
                    self.check.note(tp, begins[tp], offset, counts[tp])

    async def _insert(self, rows: list[tuple[Any, ...]]) -> bool:
        """Return True when the rows are durable, False when their partitions were taken away."""
        self._insert_since = time.monotonic()
        try:
            return await self._insert_until(rows)
        finally:
            self._insert_since, self._refusal = None, ""

    async def _insert_until(self, rows: list[tuple[Any, ...]]) -> bool:
        table, wait = self._table, FIRST_WAIT
        while not self._revoked.is_set():
            try:
                with self._metrics.seconds.labels(table.name).time():
                    await asyncio.to_thread(self._warehouse.insert, table.name, table.columns, rows)
            except WarehouseUnavailable as error:
                log.warning("%s rows of %s wait %s s: %s", len(rows), table.name, wait, error)
                self._refusal = f"; {error}"
                self._metrics.retries.labels(table.name).inc()
                try:
                    await asyncio.wait_for(self._revoked.wait(), wait)
                except TimeoutError:
                    wait = min(wait * 2, LONGEST_WAIT)
            else:
                self._metrics.rows.labels(table.name).inc(len(rows))
                return True
        return False
