"""The live aggregates of a partition: sums by minute and day over *blocks* of its touches.

A block is a run of consecutive touches. Its rows are upserts: the sums of one window over this
block, whole. When its days have ``CELLS_AT_MOST`` cells the next touch begins a new one, and what
it wrote is final. So a partition keeps no more than one block, however many windows and values
there are; a late event of an old day adds to today's block; and the same log always gives the same
rows, however it is cut into batches. The figures of a window are the sums over its blocks and
partitions.

Of minutes only the last one can still change, so a block drops the others at once. What counts in
a minute counts in a day, too, so the minute never has more cells than the days.

Touches that count in the same places are gathered before they are added to the cells. Most touches
of a batch are like many others; and where touches are so few that each has a minute of its own, its
row needs no cells at all.
"""

from collections.abc import Iterable

from schemas.aggregates import Block, Cell, Contribution, Place, Window
from schemas.records import Aggregate

CELLS_AT_MOST = 512
DIMENSIONS = ("channel", "campaign", "stage", "segment")

_TOUCHES, _PEOPLE, _NEW, _ORDERS, _REVENUE = range(5)
_LAST = _PEOPLE
"""Gathered touches know the number of the last one; how many people they are is in the place."""
_OF_ONE = ["all", *DIMENSIONS]
_BITS = [[place >> bit & 1 for bit in range(5)] for place in range(32)]
_FIVE = [[number] * 5 for number in (0, 1)]


class Aggregates:
    """The block in hand, and the rows that its touches change.

    Args:
        block: As it was left; the aggregates own it from now on.
        currency: ISO 4217, of the revenue from now on.

    Attributes:
        block: As it is now.
    """

    def __init__(self, block: Block, currency: str) -> None:
        self.block = block
        self._currency = currency
        self._in_minute: dict[Place, Cell] = {}
        self._on_days: dict[int, dict[Place, Cell]] = {}
        self._rows: list[Aggregate] = []
        if block.currency != currency:
            self._begin()

    def add(self, touches: Iterable[Contribution]) -> dict[str, Aggregate]:
        """Add a batch of touches; return the rows that changed, by key, each as it is now."""
        block, in_minute, on_days = self.block, self._in_minute, self._on_days
        for touch in touches:
            if touch.minute != block.minute or block.cells >= CELLS_AT_MOST:
                self._turn(touch.minute)
            block.counted += 1
            minute = in_minute.get(touch.in_minute)
            if minute is None:
                minute = in_minute[touch.in_minute] = [0] * 5
            alike = on_days.get(touch.day)
            if alike is None:
                alike = on_days[touch.day] = {}
            day = alike.get(touch.in_day)
            if day is None:
                day = alike[touch.in_day] = [0] * 5
                self._open(touch.day, touch.in_day)
            minute[_TOUCHES] += 1
            day[_TOUCHES] += 1
            minute[_LAST] = day[_LAST] = block.counted
            if touch.new or touch.orders or touch.revenue_minor:
                for sums in (minute, day):
                    sums[_NEW] += touch.new
                    sums[_ORDERS] += touch.orders
                    sums[_REVENUE] += touch.revenue_minor
        self._settle()
        rows, self._rows = self._rows, []
        return {row.key: row for row in rows}

    def _turn(self, minute: int) -> None:
        """Go on to another minute, or to another block if this one is full."""
        block = self.block
        # A clock that was set back must not open a minute twice in one block.
        if minute < block.minute or block.cells >= CELLS_AT_MOST:
            self._begin()
        else:
            self._settle_minute()
        block.minute, block.in_minute = minute, None

    def _begin(self) -> None:
        """Close the block, and begin the next."""
        self._settle()
        block = self.block
        block.first, block.currency = block.counted, self._currency
        block.minute, block.in_minute, block.days, block.cells = -1, None, {}, 0

    def _open(self, start: int, place: Place) -> None:
        """Make the cells of a place, so that the block knows at once how many it has."""
        block = self.block
        day = block.days.get(start)
        if day is None:
            day = block.days[start] = _empty()
            block.cells += 1
        block.cells += _make_cells(day, place)

    def _settle(self) -> None:
        """Add what is gathered to the cells, and write the rows that it changes."""
        self._settle_minute(kept=True)
        block = self.block
        for start, alike in self._on_days.items():
            _add(block.days[start], alike)
            self._rows.append(_row(block, "day", start, block.days[start]))
        self._on_days.clear()

    def _settle_minute(self, *, kept: bool = False) -> None:
        """Write the row of the minute; its cells are made only if it is ``kept`` or they are."""
        block, alike = self.block, self._in_minute
        if not alike:
            return
        if block.in_minute is None and not kept and len(alike) == 1:
            ((place, sums),) = alike.items()
            self._rows.append(_row_of_one(block, place, sums))
        else:
            window = block.in_minute = block.in_minute or _empty()
            for place in alike:
                _make_cells(window, place)
            _add(window, alike)
            self._rows.append(_row(block, "minute", block.minute, window))
        alike.clear()


def _empty() -> Window:
    return Window([0] * 5, {}, {}, {}, {})


def _by_value(window: Window) -> tuple[dict[str, Cell], ...]:
    return window.channels, window.campaigns, window.stages, window.segments


def _make_cells(window: Window, place: Place) -> int:
    """Make the cells that the values of a place lack; return how many they are."""
    made = 0
    for cells, value in zip(_by_value(window), place[1:], strict=True):
        if value not in cells:
            cells[value] = [0] * 5
            made += 1
    return made


def _add(window: Window, alike: dict[Place, Cell]) -> None:
    """Add gathered touches, each to the five cells of their values."""
    for place, (touches, last, new, orders, revenue_minor) in alike.items():
        fresh, channel, campaign, stage, segment = place
        cells = (
            window.total,
            window.channels[channel],
            window.campaigns[campaign],
            window.stages[stage],
            window.segments[segment],
        )
        for cell, bit in zip(cells, _BITS[fresh], strict=True):
            cell[_TOUCHES] += touches
            cell[_PEOPLE] += touches * bit
        if new or orders or revenue_minor:
            for cell in cells:
                cell[_NEW] += new
                cell[_ORDERS] += orders
                cell[_REVENUE] += revenue_minor
        window.version = max(window.version, last)


def _row(block: Block, grain: str, start: int, window: Window) -> Aggregate:
    """Return the sums of a window as they are now, one column for each measure."""
    dimensions, values, cells = ["all"], [""], [window.total]
    for dimension, by_value in zip(DIMENSIONS, _by_value(window), strict=True):
        dimensions += [dimension] * len(by_value)
        values += by_value
        cells += by_value.values()
    touches, people, new, orders, revenue = map(list, zip(*cells, strict=True))
    return Aggregate(
        block.first, grain, start, window.version, block.currency,
        dimensions, values, touches, people, new, orders, revenue,
    )  # fmt: skip


def _row_of_one(block: Block, place: Place, sums: Cell) -> Aggregate:
    """Return the row of a minute in which all touches count in one place."""
    fresh, channel, campaign, stage, segment = place
    touches, last, new, orders, revenue = sums
    return Aggregate(
        block.first, "minute", block.minute, last, block.currency,
        _OF_ONE, ["", channel, campaign, stage, segment], _five(touches),
        _BITS[fresh] if touches == 1 else [touches * bit for bit in _BITS[fresh]],
        _five(new), _five(orders), _five(revenue),
    )  # fmt: skip


def _five(number: int) -> list[int]:
    """Return a column of one number; rows are values, so those of 0 and 1 share theirs."""
    return _FIVE[number] if 0 <= number <= 1 else [number] * 5
