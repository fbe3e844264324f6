"""The sink's own ledger: does ClickHouse still have what it was given?

For each partition a window is open from where the sink took it, or from where the last check was
right. A check asks for the rows of all windows at once. What is right closes its window; what is
wrong stays, is told by the gauges, and is looked at again until it is mended. The whole log is
compared by `touchline verify`.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from faust.types import TP

from sinks.places import Window, rows_and_places
from sinks.warehouse import Warehouse, WarehouseError
from streams.metrics import SinkMetrics

log = logging.getLogger(__name__)


@dataclass
class _Given:
    """Rows that are durable, in the offsets of a window."""

    since: int
    until: int
    rows: int


class RowCheck:
    """Compares the rows of one table with those that were inserted.

    Attributes:
        kept_since: Rows that were appended before, in milliseconds, may be forgotten by the table,
            and are not looked for.
    """

    def __init__(self, table: str, warehouse: Warehouse, metrics: SinkMetrics) -> None:
        self._table = table
        self._warehouse = warehouse
        self._metrics = metrics
        self._given: dict[TP, _Given] = {}
        self.kept_since = 0

    def note(self, tp: TP, since: int, until: int, rows: int) -> None:
        """Take note of rows that are durable now: all in these offsets that are to be kept."""
        given = self._given.setdefault(tp, _Given(since, since, 0))
        given.until = until
        given.rows += rows

    def forget(self) -> None:
        """Forget the partitions: they are given back, and another sink may write their rows."""
        for tp in self._given:
            for gauge in (self._metrics.missing, self._metrics.extra):
                gauge.remove(tp.topic, tp.partition)
        self._given = {}

    async def look(self) -> None:
        """Compare every window with the table, and tell by the gauges what is wrong.

        While ClickHouse does not answer nothing is told: the next look compares the same.
        """
        asked = [(tp, given, replace(given)) for tp, given in self._given.items()]
        if not asked:
            return
        windows = [Window(tp.topic, tp.partition, then.since, then.until) for tp, _, then in asked]
        try:
            found = await asyncio.to_thread(
                rows_and_places, self._warehouse, self._table, windows, self.kept_since
            )
        except WarehouseError as error:
            log.warning("the rows of %s are not looked at: %s", self._table, error)
            return
        for tp, given, then in asked:
            if self._given.get(tp) is given:  # not given back meanwhile
                self._judge(tp, given, then, *found.get(tp, (0, 0)))

    def _judge(self, tp: TP, given: _Given, then: _Given, rows: int, places: int) -> None:
        missing, extra = max(then.rows - places, 0), max(places - then.rows, 0) + rows - places
        self._metrics.missing.labels(*tp).set(missing)
        self._metrics.extra.labels(*tp).set(extra)
        if missing or extra:
            log.error(
                "%s of partition %s, offsets %s to %s: %s rows missing, %s too many in %s; see "
                "`touchline verify`",
                *tp, then.since, then.until - 1, missing, extra, self._table,
            )  # fmt: skip
            return
        given.since, given.rows = then.until, given.rows - then.rows
