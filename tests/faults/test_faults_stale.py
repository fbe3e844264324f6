"""What is still on its way when partitions move: it must not be counted as done."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from processors.partition import Counts, Partition
from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from streams.apply import BatchApplier
from streams.ceiling import WINDOW, TooManyDeadLetters, watch
from streams.continuity import Log, StateLost, check_continuity
from streams.faust_app import consume
from streams.faust_fetching import Batch, ConsumerThread, GapError, Reach
from streams.liveness import STALLED_AFTER, Liveness
from streams.metrics import WorkerMetrics
from streams.rows import Ledger
from streams.settings import Settings
from streams.table import Shard
from streams.worker_pages import add_worker_pages

HERE = TP("touchpoints", 0)


def test_a_batch_from_before_a_rebalance_is_left_out() -> None:
    """What was before it in the queue is gone: its own offset must not be committed."""
    stale, fresh = Batch([1]), Batch([2])
    stale.epoch, fresh.epoch = 3, 4
    applied: list[int] = []

    async def apply(_tp: TP, batch: Batch) -> None:
        applied.extend(batch)

    async def events() -> AsyncIterator[Any]:
        for batch in (stale, fresh):
            yield SimpleNamespace(value=batch, message=SimpleNamespace(tp=HERE))

    released: list[TP] = []
    app: Any = SimpleNamespace(consumer=SimpleNamespace(epoch=4, release=released.append))
    asyncio.run(consume(app, SimpleNamespace(events=events), apply))
    assert (applied, released) == ([2], [HERE])


class Positions:
    """A consumer of one partition that nobody has committed, as far as positions go."""

    position = 0

    def assignment(self) -> set[TP]:
        """Return the partition."""
        return {HERE}

    async def seek_to_committed(self) -> dict[TP, None]:
        """Do as aiokafka does: seek nothing where nothing is committed."""
        return {HERE: None}

    def seek(self, _tp: TP, offset: int) -> None:
        """Go on elsewhere."""
        self.position = offset


def thread_over(log: Positions) -> Any:
    """Return Faust's consumer thread, without a thread, over this consumer."""
    thread: Any = ConsumerThread.__new__(ConsumerThread)
    thread.fetched, thread.held, thread.room = {HERE: -1}, {HERE}, asyncio.Event()
    thread.thread_loop = SimpleNamespace(call_soon_threadsafe=lambda call, *given: call(*given))
    thread._ensure_consumer = lambda: log
    thread.call_thread = lambda function, *given: function(*given)
    return thread


def test_what_was_fetched_before_a_first_assignment_was_ready_is_read_again() -> None:
    """Nothing is committed yet, and a fetch that nobody was given has gone ahead by 23."""
    log = Positions()
    thread = thread_over(log)
    log.position, thread.fetched[HERE] = 23, 22
    asyncio.run(thread.seek_to_committed())
    assert (log.position, thread.fetched[HERE], thread.held) == (0, -1, set())


@pytest.mark.parametrize(("sought", "then"), [(None, 10), (15, 15), (40, 40)])
def test_records_that_nobody_was_given_are_taken_back(sought: int | None, then: int) -> None:
    """They are fetched again, from where they were; but where somebody sought, this holds."""
    log = Positions()
    thread = thread_over(log)
    batch = Batch(SimpleNamespace(offset=offset) for offset in range(10, 30))
    batch.after = 7  # the mark of a transaction lies between
    log.position, thread.fetched[HERE] = 30, 29
    if sought is not None:
        thread.seek(HERE, sought)
    asyncio.run(thread.unread({HERE: batch}))
    assert log.position == then
    assert thread.fetched[HERE] == (7 if sought is None else sought - 1)
    assert thread.held == set(), "nobody would ever read this partition on"


def test_a_partition_that_is_given_back_while_its_end_is_asked_for_is_left_out() -> None:
    """The clock goes on for the others; the worker does not end."""
    other = TP("touchpoints", 1)

    async def end_offsets(tps: set[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, 5)

    async def position(tp: TP) -> int:
        if tp == HERE:
            raise IllegalStateError(f"Partition {tp} is not assigned")  # as aiokafka does
        return 3

    thread: Any = ConsumerThread.__new__(ConsumerThread)
    thread.fetched = {}
    consumer = SimpleNamespace(end_offsets=end_offsets, position=position)
    thread._ensure_consumer = lambda: consumer
    assert asyncio.run(thread.reach({HERE, other})) == {other: Reach(5, -1, 3)}


def test_a_failure_ends_the_process_and_does_not_leave_the_agent() -> None:
    """Faust would acknowledge the event of an exception that left the agent, and go on."""
    full, ends = OSError("no space left"), list[BaseException]()

    async def fail(_tp: TP, _batch: Batch) -> None:
        raise full

    async def die(error: BaseException) -> None:
        ends.append(error)

    async def events() -> AsyncIterator[Any]:
        yield SimpleNamespace(value=Batch([1]), message=SimpleNamespace(tp=HERE))

    app: Any = SimpleNamespace(consumer=SimpleNamespace(epoch=0), die=die)
    asyncio.run(consume(app, SimpleNamespace(events=events), fail))
    assert ends == [full]


@pytest.mark.parametrize(("after", "fits"), [(-1, True), (9, True), (10, True), (11, False)])
def test_a_batch_after_a_lost_one_is_refused(after: int, *, fits: bool) -> None:
    """A batch goes on where the ledger ends, or before it; one that leaves a gap is refused."""
    batch = Batch()
    batch.after = after
    if fits:
        batch.require_after(10)
    else:
        with pytest.raises(GapError):
            batch.require_after(10)


def test_the_worker_applies_nothing_after_a_lost_batch() -> None:
    """Of a batch that leaves a gap nothing is delivered, and nothing after it."""

    class NoDelivery:
        async def deliver(self, *_: Any) -> int:
            pytest.fail("something of the batch was delivered")

    async def apply() -> None:
        delivery: Any = NoDelivery()
        applier = BatchApplier(Settings(), Codec(), delivery, WorkerMetrics())
        playbook = compile_playbook(find_playbook("second-purchase"))
        applier.take_over({0: Shard(Partition(playbook, {}), Ledger(offset=9))})
        batch = Batch([SimpleNamespace(offset=12)])
        batch.after = 11
        with pytest.raises(GapError):
            await applier.apply(0, batch)
        with pytest.raises(RuntimeError, match="restart the worker"):
            await applier.apply(0, Batch())

    asyncio.run(apply())


@pytest.mark.parametrize(
    ("ready", "idle", "status", "problem"),
    [
        (True, 0.0, 200, ""),
        (False, 0.0, 503, "recovering"),
        (True, STALLED_AFTER + 1, 503, "stalled: neither a batch nor the clock goes on"),
    ],
)
def test_a_worker_that_does_not_move_says_so(
    ready: bool, idle: float, status: int, problem: str
) -> None:
    """``/health`` is 503 for who lives and does nothing, so that a liveness probe ends it."""
    pages: dict[str, Any] = {}
    metrics = WorkerMetrics()
    metrics.last_progress = time.monotonic() - idle
    recovery = SimpleNamespace(completed=SimpleNamespace(is_set=lambda: ready))
    app: Any = SimpleNamespace(
        page=lambda path: lambda handler: pages.setdefault(path, handler),
        tables=SimpleNamespace(recovery=recovery),
    )
    applier: Any = SimpleNamespace(failure=None, shards={})
    add_worker_pages(app, applier, metrics, Liveness())
    answer = asyncio.run(pages["/health"](None, None))
    assert (answer.status, json.loads(answer.text)["problem"]) == (status, problem)


@pytest.mark.parametrize(
    ("log", "people", "cause"),
    [
        (Log(0, 20, 10), 7, ""),
        (Log(0, 10, 0), 7, ""),
        (Log(10, 20, 10), 7, ""),
        (Log(0, 20, 11), 7, "has lost rows"),
        (Log(0, 20, 10), 8, "profiles are missing"),
        (Log(11, 20, 10), 7, "were deleted before"),
        (Log(0, 9, 9), 7, "made anew"),
    ],
)
def test_state_and_log_must_go_together(log: Log, people: int, cause: str) -> None:
    """A ledger at offset 9 of 7 profiles, and what the log may then be."""
    playbook = compile_playbook(find_playbook("second-purchase"))
    shard = Shard(
        Partition(playbook, {}), Ledger(offset=9, people=people), account=Counts(people=7)
    )
    if not cause:
        check_continuity(0, shard, log)
        return
    with pytest.raises(StateLost, match=cause):
        check_continuity(0, shard, log)


RUNS = st.lists(st.tuples(st.booleans(), st.integers(1, WINDOW // 2)), max_size=9)
CEILINGS = st.sampled_from((0.1, 0.5, 1.0))


@given(RUNS, st.integers(1, WINDOW), CEILINGS)
def test_the_ceiling_holds_for_every_window_however_the_log_is_cut(
    runs: list[tuple[bool, int]], size: int, ceiling: float
) -> None:
    """It stops at the first dead record that is one of more than half of the last 1,000."""
    bad = [each for each, length in runs for _ in range(length)]
    until = list(accumulate(bad, initial=0))
    allowed = ceiling * WINDOW
    expected = next(
        (
            i
            for i, dead in enumerate(bad)
            if dead and until[i + 1] - until[max(0, i + 1 - WINDOW)] > allowed
        ),
        None,
    )
    found, window = None, b""
    for start in range(0, len(bad), size):
        offsets = range(start, min(start + size, len(bad)))
        try:
            window = watch(window, offsets, {i: "" for i in offsets if bad[i]}, ceiling)
        except TooManyDeadLetters as error:
            found = int(str(error).split()[2].rstrip(":"))
            break
    assert found == expected
