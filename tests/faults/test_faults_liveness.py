"""A worker that stands still says so, even one that believes that nothing is left to do."""

import pytest
from orchestra import Program, await_that, group_reader
from the_line import TheLine, await_account
from workload import touches

from streams.cli.pages import PageError, read_json
from streams.faust_fetching import Reach
from streams.liveness import STALLED_AFTER, Liveness


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.mark.parametrize(
    ("reach", "committed", "stalled"),
    [
        pytest.param(Reach(end=90, read=89, position=90), 90, False, id="done"),
        pytest.param(Reach(end=90, read=39, position=40), 40, True, id="not fetched"),
        pytest.param(Reach(end=90, read=89, position=90), 40, True, id="read, not committed"),
        pytest.param(Reach(end=91, read=89, position=91), 90, False, id="a mark at the end"),
        pytest.param(Reach(end=90, read=29, position=90), 0, False, id="durable, commit was lost"),
        pytest.param(Reach(end=0, read=-1, position=0), 0, False, id="empty"),
    ],
)
def test_what_stays_behind_for_a_minute_is_a_stall(
    reach: Reach, committed: int, stalled: bool
) -> None:
    """It counts what the group has committed since the take-over at offset 30, and nothing else."""
    clock = Clock()
    liveness = Liveness(clock)
    liveness.take_over({7: 30})
    for _ in range(3):
        assert liveness.problem() == ""
        liveness.look({7: reach}, {7: committed})
        clock.now += STALLED_AFTER / 2
    liveness.look({7: reach}, {7: committed})
    assert ("the committed offset of partition 7 stays at" in liveness.problem()) == stalled


def test_who_moves_is_well_however_far_behind() -> None:
    """One record a minute is slow, and no stall; nor is a partition that was given back."""
    clock = Clock()
    liveness = Liveness(clock)
    liveness.take_over({0: 0, 1: 0})
    far = Reach(end=1_000_000, read=99, position=100)
    for committed in range(5):
        liveness.look({0: far, 1: far}, {0: committed, 1: committed})
        assert liveness.problem() == ""
        clock.now += STALLED_AFTER - 1
    liveness.look({0: far}, {0: 5})
    clock.now += STALLED_AFTER - 1
    assert liveness.look({0: far}, {0: 5}) == {0: 999_995}
    assert liveness.problem() == ""
    clock.now += 2
    assert "partition 0 stays at 5, 999995 records behind" in liveness.problem()


@pytest.mark.kafka
def test_who_believes_to_be_done_is_held_to_what_the_broker_keeps(line: TheLine, seed: int) -> None:
    """All is applied, and the group's offset is not there: only the broker knows, and is asked."""
    events = line.publish(touches(seed, 200))
    with Program(line, "forgetful_worker", "3") as worker:
        worker.wait_ready()
        await_account([worker], events)
        await_that(lambda: "the committed offset" in problem(worker), "it says that it is well")
        with group_reader(line) as lag:
            assert lag() == events


def problem(worker: Program) -> str:
    """Return what the worker says of itself, '' if it is well."""
    try:
        read_json(f"{worker.url}/health")
    except PageError as error:
        return str(error)
    return ""
