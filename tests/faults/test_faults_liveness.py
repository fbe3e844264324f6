"""Who stands still says so, even a worker that believes that nothing is left to do."""

import asyncio
import json
import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from orchestra import Program, group_reader
from the_line import TheLine, await_account, await_that
from workload import touches

from sinks.tables import DEAD_LETTERS, FACTS
from sinks.warehouse import WarehouseUnavailable
from streams.cli.pages import PageError, read_json
from streams.faust_fetching import ConsumerThread, Reach
from streams.liveness import STALLED_AFTER, Liveness
from streams.metrics import SinkMetrics
from streams.settings import Settings
from streams.sink import _watch
from streams.sink_buffer import SinkBuffer
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
    liveness.take_over({TP("log", 7): 30})
    for _ in range(3):
        assert liveness.problem() == ""
        liveness.look({TP("log", 7): reach}, {TP("log", 7): committed})
        clock.now += STALLED_AFTER / 2
    liveness.look({TP("log", 7): reach}, {TP("log", 7): committed})
    assert ("the committed offset of log/7 stays at" in liveness.problem()) == stalled


def test_who_moves_is_well_however_far_behind() -> None:
    """One record a minute is slow, and no stall; nor is a partition that was given back."""
    clock = Clock()
    liveness = Liveness(clock)
    one, other = TP("log", 0), TP("log", 1)
    liveness.take_over({one: 0, other: 0})
    far = Reach(end=1_000_000, read=99, position=100)
    for committed in range(5):
        liveness.look({one: far, other: far}, {one: committed, other: committed})
        assert liveness.problem() == ""
        clock.now += STALLED_AFTER - 1
    liveness.look({one: far}, {one: 5})
    clock.now += STALLED_AFTER - 1
    assert liveness.look({one: far}, {one: 5}) == {one: 999_995}
    assert liveness.problem() == ""
    clock.now += 2
    assert "log/0 stays at 5, 999995 records behind" in liveness.problem()


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


def test_a_wait_for_records_that_is_cancelled_leaves_nothing_behind() -> None:
    """Neither what waits for room nor what waits for a fetch stays pending."""

    async def live() -> None:
        fetched: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        fetcher = SimpleNamespace(_create_fetch_waiter=lambda: fetched)
        consumer, thread = SimpleNamespace(_fetcher=fetcher), SimpleNamespace(room=asyncio.Event())
        waiting: Any = ConsumerThread._wait_for_more
        task = asyncio.create_task(waiting(thread, consumer, 3600))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 3
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert fetched.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(live())


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


class Sink:
    """A sink on `Group`, with its pages, a clock to turn, and a ClickHouse that comes and goes."""

    def __init__(self) -> None:
        self.clock, self.pages = Clock(), dict[str, Any]()
        self.away, self.asked = threading.Event(), threading.Event()
        self.liveness = Liveness(self.clock)

        async def commit(_offsets: dict[TP, int]) -> bool:
            return True

        warehouse: Any = SimpleNamespace(insert=self.insert)
        self.buffers = {
            table.name: SinkBuffer(table, warehouse, commit, SinkMetrics())
            for table in (FACTS, DEAD_LETTERS)
        }
        recovery = SimpleNamespace(completed=SimpleNamespace(is_set=lambda: True))
        self.app: Any = SimpleNamespace(
            page=lambda path: lambda handler: self.pages.setdefault(path, handler),
            tables=SimpleNamespace(recovery=recovery),
            fatal=None,
        )
        nothing: Any = None
        add_sink_pages(
            self.app, Settings(), warehouse, self.buffers, SinkMetrics(), nothing, self.liveness
        )

    def insert(self, *_: Any) -> None:
        """Take rows for as long as nobody says that it is away."""
        self.asked.set()
        self.away.wait(60)
        raise WarehouseUnavailable("nobody is there")

    async def after(self, seconds: float, **committed: int) -> tuple[int, str, str]:
        """Let time pass, and the sink see what is committed by then; return what its page says."""
        self.clock.now += seconds
        self.app.consumer = Group(**committed)
        await _watch(self.app, self.buffers, self.liveness)
        answer = await self.pages["/health"](None, None)
        said = json.loads(answer.text)
        return answer.status, said["problem"], said["waits_for"]


def test_a_sink_that_does_not_move_says_so() -> None:
    """It names the topic that stays behind; what it has given back is no stall."""
    sink = Sink()

    async def live() -> None:
        well = (200, "", "")
        assert await sink.after(0, facts=10, aggregates=4) == well
        assert await sink.after(STALLED_AFTER - 1, facts=10, aggregates=4) == well
        status, problem, _ = await sink.after(2, facts=10, aggregates=4)
        assert status == 503
        assert problem.startswith(
            "stalled: the committed offset of aggregates/0 stays at 4, 6 records behind"
        )
        assert await sink.after(1, facts=10, aggregates=5) == well
        assert (await sink.after(STALLED_AFTER + 1, facts=10, aggregates=5))[0] == 503
        assert await sink.after(1, facts=10) == well
        assert await sink.after(1, facts=10, aggregates=5) == well

    sink.buffers["aggregates"] = sink.buffers["facts"]
    asyncio.run(live())


def test_a_sink_whose_clickhouse_is_away_is_well_but_for_topics_that_do_not_wait() -> None:
    """An insert under way excuses nobody; one that was refused excuses what has rows in hand."""
    sink = Sink()
    facts, letters = sink.buffers["facts"], sink.buffers["dead_letters"]
    # As the sink has them, by topic.
    sink.buffers["dead-letters"] = sink.buffers.pop("dead_letters")

    async def live() -> None:
        stands: dict[str, int] = {"facts": 4, "dead-letters": 4}
        await sink.after(0, facts=4)
        await facts.add(TP("facts", 0), [("a row", 0)], 4, 10)
        flush = asyncio.create_task(facts.flush())
        await asyncio.to_thread(sink.asked.wait, 60)
        status, problem, waits_for = await sink.after(STALLED_AFTER + 1, facts=4)
        assert (status, "facts/0 stays" in problem) == (503, True)
        assert waits_for.startswith("ClickHouse, to take rows of facts: ")
        sink.away.set()
        await asyncio.to_thread(await_that, lambda: "nobody" in facts.waits_for, "not refused")
        assert (await sink.after(1, **stands))[0] == 200
        status, problem, _ = await sink.after(STALLED_AFTER + 1, **stands)
        assert (status, "dead-letters/0 stays" in problem) == (503, True)
        await letters.add(TP("dead-letters", 0), [("a row", 0)], 4, 10)
        for _ in range(3):  # it waits its turn behind the facts
            status, problem, waits_for = await sink.after(STALLED_AFTER + 1, **stands)
            assert (status, problem) == (200, "")
            assert waits_for.startswith("ClickHouse, to take rows of facts: ")
            assert waits_for.endswith("; nobody is there")
        await facts.discard()
        await flush
        assert await sink.after(STALLED_AFTER - 1, **stands) == (200, "", "")
        assert (await sink.after(2, **stands))[0] == 503

    asyncio.run(live())
