"""Several partitions as one log: their records in the order of stream time.

The time of a record is its own, or that of one before it in its partition where that is later. So
each partition keeps its order, and one stream clock that goes over them all stands, at each record,
where the clock of the record's partition stands: folded as one, people come to the same.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from operator import itemgetter
from typing import Any

from streams.log_places import open_log
from streams.settings import Settings

Batches = AsyncIterator[list[Any]]
"""The records of a partition in the order of their offsets, a list after the other."""
_place = itemgetter(0, 1)


async def read_in_order(
    settings: Settings, topic: str, reach: Mapping[int, tuple[int, int]]
) -> AsyncGenerator[list[Any]]:
    """Yield the committed records of some offsets of a topic's partitions, in order of time.

    Each partition has a connection of its own, and in memory no more than one fetch of it.

    Args:
        settings: Whose broker.
        topic: The topic's name on the broker.
        reach: By partition, the first offset and the one after the last.

    Raises:
        streams.log_places.LogUnreadableError: they are not there.
    """
    async with AsyncExitStack() as stack:
        strands = [
            await stack.enter_async_context(aclosing(_read(settings, topic, number, *offsets)))
            for number, offsets in sorted(reach.items())
            if offsets[0] < offsets[1]
        ]
        async with aclosing(in_order(strands)) as merged:
            async for records in merged:
                yield records


async def in_order(strands: Iterable[Batches]) -> AsyncGenerator[list[Any]]:
    """Yield the records of all strands in order of time; at the same time the first strand's first.

    Reads on in a strand only when all that was read of it has been yielded.
    """
    left = [_Strand(number, batches) for number, batches in enumerate(strands)]
    while left := [strand for strand in left if await strand.fill()]:
        until = min(_place(strand.waiting[-1]) for strand in left)
        ready = [entry for strand in left for entry in strand.take(until)]
        ready.sort(key=_place)  # stable: a strand keeps its own order
        yield [record for _, _, record in ready]


class _Strand:
    """The records of one partition that wait for those of others, each with its time."""

    def __init__(self, number: int, batches: Batches) -> None:
        self.waiting: list[tuple[int, int, Any]] = []
        self._number = number
        self._batches = batches
        self._clock = 0

    async def fill(self) -> bool:
        """Read on if nothing waits; tell whether anything does then."""
        while not self.waiting:
            records = await anext(self._batches, None)
            if records is None:
                return False
            for record in records:
                self._clock = max(self._clock, record.timestamp)
                self.waiting.append((self._clock, self._number, record))
        return True

    def take(self, until: tuple[int, int]) -> list[tuple[int, int, Any]]:
        """Return what waits up to a time and a strand's number; it waits no more."""
        length = bisect_right(self.waiting, until, key=_place)
        taken, self.waiting = self.waiting[:length], self.waiting[length:]
        return taken


async def _read(
    settings: Settings, topic: str, number: int, since: int, until: int
) -> AsyncGenerator[list[Any]]:
    async with open_log(settings) as log:
        async for records in log.records(topic, number, since, until):
            yield records
