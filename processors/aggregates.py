"""The live aggregates of a partition: sums by minute and day over *blocks* of its touches.

A block is a run of consecutive touches. Its rows are upserts: the sums of one window over this
block, whole. When it has ``CELLS_AT_MOST`` cells the next touch begins a new one, and what it wrote
is final. So a partition keeps no more than one block, however many windows and values there are; a
late event of an old day adds to today's block; and the same log always gives the same rows, however
it is cut into batches. The figures of a window are the sums over its blocks and partitions.

Of minutes only the last one can still change, so a block drops the others at once.
"""

from collections.abc import Iterator

from schemas.aggregates import Block, Cell, Contribution, Place, Window
from schemas.records import Aggregate

CELLS_AT_MOST = 512
DIMENSIONS = ("channel", "campaign", "stage", "segment")

_TOUCHES, _PEOPLE, _NEW, _ORDERS, _REVENUE = range(5)


class _Pending:
    """Touches alike in where they count, gathered before they are added to the cells.

    Most touches of a batch are like many others, so this is what makes them cheap.
    """

    __slots__ = ("last", "new", "orders", "revenue_minor", "touches")

    def __init__(self) -> None:
        self.touches = self.new = self.orders = self.revenue_minor = self.last = 0


class Aggregates:
    """The block in hand, and the rows that its touches have changed.

    Args:
        block: As it was left; the aggregates own it from now on.
        currency: ISO 4217, of the revenue from now on.

    Attributes:
        block: As it is now; whole after :meth:`take`.
    """

    def __init__(self, block: Block, currency: str) -> None:
        self.block = block
        self._currency = currency
        self._taken = block.counted
        self._pending: dict[Place, _Pending] = {}
        self._closed: list[Aggregate] = []
        if block.currency != currency:
            self._begin()

    def add(self, touch: Contribution) -> None:
        """Add a touch to the sums of its minute and its day."""
        block = self.block
        if touch.minute != block.minute or block.cells >= CELLS_AT_MOST:
            self._turn(touch.minute)
        pending = self._pending.get(touch.place)
        if pending is None:
            pending = self._pending[touch.place] = _Pending()
            self._open(touch.place)
        block.counted = pending.last = block.counted + 1
        pending.touches += 1
        if touch.new or touch.orders or touch.revenue_minor:
            pending.new += touch.new
            pending.orders += touch.orders
            pending.revenue_minor += touch.revenue_minor

    def take(self) -> dict[str, Aggregate]:
        """Return the rows that changed since the last call, by key, each as it is now."""
        self._settle()
        rows, self._closed = [*self._closed, *self._changed()], []
        self._taken = self.block.counted
        return {row.key: row for row in rows}

    def _changed(self) -> Iterator[Aggregate]:
        block = self.block
        if block.in_minute is not None and block.in_minute.version > self._taken:
            yield _row(block, "minute", block.minute, block.in_minute)
        for start, window in block.days.items():
            if window.version > self._taken:
                yield _row(block, "day", start, window)

    def _turn(self, minute: int) -> None:
        """Go on to another minute, or to another block if this one is full."""
        self._settle()
        block = self.block
        if minute > block.minute and block.in_minute is not None:
            if block.in_minute.version > self._taken:
                self._closed.append(_row(block, "minute", block.minute, block.in_minute))
            block.cells -= len(block.in_minute)
            block.in_minute = None
        # A clock that was set back must not open a minute twice in one block.
        if minute < block.minute or block.cells >= CELLS_AT_MOST:
            self._begin()
        block.minute, block.in_minute = minute, _empty()
        block.cells += 1

    def _begin(self) -> None:
        """Close the block, and begin the next."""
        self._closed += self._changed()
        block = self.block
        block.first, block.currency = block.counted, self._currency
        block.minute, block.in_minute, block.days, block.cells = -1, None, {}, 0

    def _open(self, place: Place) -> None:
        """Make the cells of a place, so that the block knows at once how many it has."""
        block = self.block
        day = block.days.get(place[0])
        if day is None:
            day = block.days[place[0]] = _empty()
            block.cells += 1
        for window in (block.in_minute, day):
            if window is not None:
                for cells, value in zip(_by_value(window), place[1:5], strict=True):
                    if value not in cells:
                        cells[value] = [0] * 5
                        block.cells += 1

    def _settle(self) -> None:
        """Add what is pending to the cells."""
        block, gathered = self.block, self._pending
        for place, pending in gathered.items():
            for window, fresh in ((block.in_minute, place[5]), (block.days[place[0]], place[6])):
                if window is not None:
                    _add(window, place, pending, fresh)
        gathered.clear()


def _empty() -> Window:
    return Window([0] * 5, {}, {}, {}, {})


def _by_value(window: Window) -> tuple[dict[str, Cell], ...]:
    return window.channels, window.campaigns, window.stages, window.segments


def _add(window: Window, place: Place, pending: _Pending, fresh: int) -> None:
    """Add touches alike to the five cells of their values."""
    _, channel, campaign, stage, segment, *_ = place
    cells = (
        window.total,
        window.channels[channel],
        window.campaigns[campaign],
        window.stages[stage],
        window.segments[segment],
    )
    for bit, cell in enumerate(cells):
        cell[_TOUCHES] += pending.touches
        cell[_PEOPLE] += pending.touches * (fresh >> bit & 1)
        cell[_NEW] += pending.new
        cell[_ORDERS] += pending.orders
        cell[_REVENUE] += pending.revenue_minor
    window.version = max(window.version, pending.last)


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
