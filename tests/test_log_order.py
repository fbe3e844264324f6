"""Several partitions read as one log: the order of time, and each partition's own."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import accumulate
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from strategies import cuts

from streams.log_order import in_order


class Record(NamedTuple):
    """What the order goes by."""

    partition: int
    offset: int
    timestamp: int


@st.composite
def partitions(draw: st.DrawFn) -> list[tuple[list[Record], list[int]]]:
    """Draw the records of some partitions, with the places where a fetch ended."""
    drawn = []
    for number in range(draw(st.integers(0, 4))):
        times = draw(st.lists(st.integers(-1, 20), max_size=12))
        if draw(st.booleans()):
            times.sort()  # as the broker stamps them
        records = [Record(number, offset, time) for offset, time in enumerate(times)]
        drawn.append((records, draw(cuts(len(records)))))
    return drawn


async def fetches(records: list[Record], places: list[int]) -> AsyncGenerator[list[Record]]:
    """Yield the records in pieces, some of them empty, as a consumer does."""
    for begin, end in zip([0, *places], [*places, len(records)], strict=True):
        yield records[begin:end]
        yield []


async def read(drawn: list[tuple[list[Record], list[int]]]) -> list[list[Record]]:
    """Return what is yielded, list by list."""
    return [records async for records in in_order([fetches(*each) for each in drawn])]


@given(partitions())
def test_records_come_by_time_and_each_partition_keeps_its_order(
    drawn: list[tuple[list[Record], list[int]]],
) -> None:
    """By the clock of the record's partition, then by partition and offset, however it is cut."""
    keyed = [
        (clock, record)
        for records, _ in drawn
        for clock, record in zip(
            accumulate((each.timestamp for each in records), max), records, strict=True
        )
    ]
    found = asyncio.run(read(drawn))
    expected = [record for _, record in sorted((max(clock, 0), record) for clock, record in keyed)]
    assert [record for records in found for record in records] == expected
    assert all(found)


@given(partitions())
def test_a_clock_over_all_stands_where_that_of_the_partition_stands(
    drawn: list[tuple[list[Record], list[int]]],
) -> None:
    """At each record, the greatest time so far is that of its own partition."""
    clock = 0
    clocks = dict.fromkeys(range(len(drawn)), 0)
    for records in asyncio.run(read(drawn)):
        for number, _, timestamp in records:
            clock = max(clock, timestamp)
            clocks[number] = max(clocks[number], timestamp)
            assert clock == clocks[number]


def test_no_more_is_read_than_is_needed() -> None:
    """A long partition waits for the others: memory is bounded by what a fetch brings."""
    fetched = []

    async def endless() -> AsyncGenerator[list[Record]]:
        for offset in range(1_000_000):
            fetched.append(offset)
            yield [Record(1, offset, offset)]

    async def first() -> list[Record]:
        merged = in_order([fetches([Record(0, 0, 2)], []), endless()])
        return [(await anext(merged))[-1] for _ in range(3)]

    assert asyncio.run(first()) == [Record(1, 0, 0), Record(1, 1, 1), Record(0, 0, 2)]
    assert fetched == [0, 1, 2]
