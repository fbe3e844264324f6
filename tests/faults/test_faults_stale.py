"""What is still on its way when partitions move: it must not be counted as done."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import Profile
from streams.ceiling import WINDOW, TooManyDeadLetters, watch
from streams.continuity import Log, StateLost, check_continuity
from streams.faust_app import consume
from streams.faust_transport import Batch, GapError
from streams.table import Ledger, Shard

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

    app: Any = SimpleNamespace(consumer=SimpleNamespace(epoch=4))
    asyncio.run(consume(app, SimpleNamespace(events=events), apply))
    assert applied == [2]


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


@pytest.mark.parametrize(
    ("log", "counted", "cause"),
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
def test_state_and_log_must_go_together(log: Log, counted: int, cause: str) -> None:
    """A ledger at offset 9 whose profiles have counted 7 records, and what the log may then be."""
    playbook = compile_playbook(find_playbook("second-purchase"))
    profile = Profile("u")
    profile.applied, profile.late = 5, 2
    shard = Shard(Partition(playbook, {"u": profile}), Ledger(offset=9, counted=counted))
    if not cause:
        check_continuity(0, shard, log)
        return
    with pytest.raises(StateLost, match=cause):
        check_continuity(0, shard, log)


@given(st.lists(st.booleans(), max_size=3 * WINDOW), st.integers(1, WINDOW), st.data())
def test_the_ceiling_holds_for_every_window_however_the_log_is_cut(
    bad: list[bool], size: int, data: st.DataObject
) -> None:
    """It stops at the first dead record that is one of more than half of the last 1,000."""
    ceiling = data.draw(st.sampled_from((0.1, 0.5, 1.0)))
    allowed = ceiling * WINDOW
    expected = next(
        (
            i
            for i, dead in enumerate(bad)
            if dead and sum(bad[max(0, i + 1 - WINDOW) : i + 1]) > allowed
        ),
        None,
    )
    found, window = None, b""
    for start in range(0, len(bad), size):
        offsets = range(start, min(start + size, len(bad)))
        try:
            window = watch(window, offsets, {i for i in offsets if bad[i]}, ceiling)
        except TooManyDeadLetters as error:
            found = int(str(error).split()[2].rstrip(":"))
            break
    assert found == expected
