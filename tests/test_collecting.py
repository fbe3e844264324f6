"""Garbage collection in the clock's rhythm: nothing leaks, and Python gets its own back."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from processors.partition import Counts, Known, Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.records import Touchpoint
from streams.collecting import WHOLE_SECONDS, Collector
from streams.store import MemoryStore


class Ring:
    """Something that only a collection can free once nobody has it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def now() -> list[float]:
    """The time, to be moved by hand."""
    return [0.0]


@pytest.fixture
def collector(now: list[float]) -> Iterator[Collector]:
    """A collector at work; Python's own goes on afterwards."""
    collector = Collector(lambda: now[0])
    collector.begin()
    yield collector
    collector.end()


def test_young_garbage_goes_with_the_next_tick(collector: Collector) -> None:
    """A second is the longest that it stays."""
    gone = weakref.ref(Ring())
    assert gone() is not None, "somebody else collects"
    collector.tick()
    assert gone() is None


def test_what_was_kept_and_then_dropped_goes_within_the_day(
    collector: Collector, now: list[float]
) -> None:
    """It was set apart; the whole collection looks at it again."""
    ring = Ring()
    gone = weakref.ref(ring)
    collector.tick()
    del ring
    collector.tick()
    assert gone() is not None, "it was not set apart: all is looked at each second"
    now[0] += WHOLE_SECONDS
    collector.tick()
    assert gone() is None


def test_partitions_that_are_given_back_leave_no_garbage(collector: Collector) -> None:
    """Their profiles were set apart long ago: nobody would look at them before the day is over."""
    playbook = compile_playbook(find_playbook("refined-retail"))
    store = MemoryStore(playbook)
    partition = Partition(playbook, store.profiles, Known(Counts(), store.due))
    page = {"page": "/", "category": "", "duration_ms": 1}
    partition.apply(
        (Touchpoint(f"e{n}", f"p{n % 30}", n, "page_viewed", page), n) for n in range(300)
    )
    gone = weakref.ref(partition)
    collector.tick()
    del partition, store
    assert gone() is None


def test_python_collects_again_afterwards(now: list[float]) -> None:
    """A worker that ends leaves the process as it found it."""
    collector = Collector(lambda: now[0])
    collector.begin()
    assert not gc.isenabled()
    collector.end()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
