"""Who stands still says so, even a worker that believes that nothing is left to do."""

import asyncio
import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from orchestra import Program, await_that, group_reader
from the_line import TheLine, await_account
from workload import touches

from sinks.tables import FACTS
from sinks.warehouse import WarehouseUnavailable
from streams.cli.pages import PageError, read_json
from streams.faust_fetching import Reach
from streams.liveness import STALLED_AFTER, Liveness
from streams.metrics import SinkMetrics
from streams.settings import Settings
from streams.sink_buffer import SinkBuffer
from streams.sink_liveness import SinkLiveness
from streams.sink_pages import add_sink_pages


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


class Group:
    """What a sink asks its consumer: ten records of each topic, of which so many are committed."""

    def __init__(self, **committed: int) -> None:
        self.offsets = {TP(topic, 0): offset for topic, offset in committed.items()}

    def assignment(self) -> set[TP]:
        """Return one partition of each topic."""
        return set(self.offsets)

    async def reach(self, tps: Iterable[TP]) -> dict[TP, Reach]:
        """Say that all records were read."""
        return dict.fromkeys(tps, Reach(end=10, read=9, position=10))

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Say how far the group is."""
        return {tp: self.offsets[tp] for tp in tps}


def test_a_sink_that_does_not_move_says_so() -> None:
    """It names the topic that stays behind; what it has given back, or is excused, is no stall."""
    clock = Clock()
    liveness = SinkLiveness(clock)

    def after(seconds: float, **committed: int) -> str:
        clock.now += seconds
        asyncio.run(liveness.look(Group(**committed)))
        return liveness.problem()

    assert after(0, facts=10, aggregates=4) == ""
    assert after(STALLED_AFTER - 1, facts=10, aggregates=4) == ""
    assert after(2, facts=10, aggregates=4).startswith(
        "aggregates: stalled: the committed offset of partition 0 stays at 4, 6 records behind"
    )
    assert after(1, facts=10, aggregates=5) == ""
    assert after(STALLED_AFTER + 1, facts=10, aggregates=5) != ""
    assert after(1, facts=10) == ""
    assert after(1, facts=10, aggregates=5) == ""
    assert after(STALLED_AFTER + 1, facts=10, aggregates=5) != ""
    liveness.excuse()
    assert liveness.problem() == ""


def test_a_sink_whose_clickhouse_is_away_is_well_and_says_what_it_waits_for() -> None:
    """It stands still for longer than it may, with an insert in hand; without one it is stalled."""
    clock, pages = Clock(), dict[str, Any]()
    liveness = SinkLiveness(clock)

    def insert(*_: Any) -> None:
        raise WarehouseUnavailable("nobody is there")

    async def commit(_offsets: dict[TP, int]) -> bool:
        return True

    warehouse: Any = SimpleNamespace(insert=insert)
    buffer = SinkBuffer(FACTS, warehouse, commit, SinkMetrics())
    recovery = SimpleNamespace(completed=SimpleNamespace(is_set=lambda: True))
    app: Any = SimpleNamespace(
        page=lambda path: lambda handler: pages.setdefault(path, handler),
        tables=SimpleNamespace(recovery=recovery),
        fatal=None,
    )
    add_sink_pages(app, Settings(), warehouse, {"facts": buffer}, SinkMetrics(), None, liveness)  # type: ignore[arg-type]

    async def health() -> tuple[int, str, str]:
        answer = await pages["/health"](None, None)
        said = json.loads(answer.text)
        return answer.status, said["problem"], said["waits_for"]

    async def live() -> None:
        await liveness.look(Group(facts=4))
        clock.now += STALLED_AFTER + 1
        status, problem, waits_for = await health()
        assert (status, waits_for) == (503, "")
        assert problem.startswith("facts: stalled")
        await buffer.add(TP("facts", 0), [("a row", 0)], 4, 10)
        flush = asyncio.create_task(buffer.flush())
        await asyncio.to_thread(await_that, lambda: "nobody" in buffer.waits_for, "not refused")
        status, problem, waits_for = await health()
        assert (status, problem) == (200, "")
        assert waits_for.startswith("ClickHouse, to take rows of facts: ")
        await buffer.discard()
        await flush
        assert (await health())[2] == ""

    asyncio.run(live())
