"""The funnel against a brute force written from its definition, and on real purchases."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.records import Touchpoint
from schemas.shipped import shipped
from sinks.funnel import Funnel, Step, StepResult, run_funnel
from sinks.migrations import migrate
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Warehouse, open_warehouse

DAY = 86_400_000
KINDS = ("page_viewed", "friend_added", "order_paid", "trial_started")
# One event of a person: time, partition, offset, kind.
Event = tuple[int, int, int, str]
History = list[Event]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The tables of the log; each test empties them first."""
    with closing(open_warehouse(f"chdb://{tmp_path_factory.mktemp('funnel')}")) as warehouse:
        migrate(warehouse)
        yield warehouse


def _store(warehouse: Warehouse, histories: Sequence[History], copies: int = 1) -> None:
    """Store each history as that of one person, and the last ones of them ``copies`` times."""
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", partition, offset * len(histories) + person, 0),
            Touchpoint(f"{person}-{offset}", f"u{person}", at, kind, {}),
        )
        for person, history in enumerate(histories)
        for at, partition, offset, kind in history
    ]
    warehouse.execute("TRUNCATE TABLE touchpoints")
    for copy in range(copies):
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[len(rows) * copy // copies :])


def _reached(history: History, funnel: Funnel) -> int:
    """Return the most steps that a choice of distinct events, in order and in time, satisfies."""
    events = sorted(history)
    wanted = [step.kind for step in funnel.steps]
    starts = [event for event in events if event[3] == wanted[0]]
    for length in range(len(wanted), 0, -1):
        for chosen in itertools.combinations(events, length):
            if (
                [event[3] for event in chosen] == wanted[:length]
                and chosen[-1][0] - chosen[0][0] <= funnel.window_ms
                and (funnel.entry == "any" or chosen[0] == starts[0])
            ):
                return length
    return 0


def _expected(histories: Sequence[History], funnel: Funnel) -> list[int]:
    reached = Counter(_reached(history, funnel) for history in histories)
    return [
        sum(people for level, people in reached.items() if level >= step)
        for step in range(1, len(funnel.steps) + 1)
    ]


def _funnel(kinds: Sequence[str], window_ms: int, entry: str = "any") -> Funnel:
    steps = tuple(Step(f"step {i}", kind) for i, kind in enumerate(kinds, 1))
    return Funnel("tested", steps, window_ms, entry)  # type: ignore[arg-type]


def _people(warehouse: Warehouse, funnel: Funnel) -> list[int]:
    return [step.people for step in run_funnel(warehouse, funnel).steps]


# Few kinds, times and partitions, so that ties, repeats and exact windows are common.
_events = st.lists(
    st.tuples(st.integers(-3, 8), st.integers(0, 2), st.sampled_from(KINDS[:3])), max_size=8
)
_histories = _events.map(
    lambda events: [
        (at, partition, offset, kind) for offset, (at, partition, kind) in enumerate(events)
    ]
)


@settings(
    max_examples=12,
    deadline=None,
    # One example is hundreds of people, which is more than shrinking can chew.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(seeded=st.data())
def test_against_every_choice_of_events(warehouse: Warehouse, seeded: st.DataObject) -> None:
    """For random people the counts are those of trying every choice of events, replays included."""
    histories = seeded.draw(st.lists(_histories, min_size=200, max_size=300))
    _store(warehouse, histories, copies=3)
    for entry in ("any", "first"):
        kinds = seeded.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
        for wanted in (kinds, ["order_paid"] * 3):
            funnel = _funnel(wanted, seeded.draw(st.integers(0, 6)), entry)
            assert _people(warehouse, funnel) == _expected(histories, funnel), funnel


@pytest.mark.parametrize(
    ("history", "funnel", "people"),
    [
        pytest.param([(0, "a"), (10, "b")], _funnel("ab", 10), [1, 1], id="window is inclusive"),
        pytest.param([(0, "a"), (11, "b")], _funnel("ab", 10), [1, 0], id="one ms late is late"),
        pytest.param(
            [(0, "a"), (10, "b"), (20, "c")], _funnel("abc", 15), [1, 1, 0], id="from step 1 on"
        ),
        pytest.param([(5, "b"), (5, "a")], _funnel("ab", 9), [1, 0], id="a tie is in log order"),
        pytest.param([(5, "a"), (5, "b")], _funnel("ab", 0), [1, 1], id="a tie takes no time"),
        pytest.param([(0, "a")], _funnel("aa", 9), [1, 0], id="one event is one step"),
        pytest.param([(0, "a"), (0, "a")], _funnel("aa", 0), [1, 1], id="two events are two steps"),
        pytest.param(
            [(0, "a"), (50, "a"), (55, "b")], _funnel("ab", 10), [1, 1], id="a later entry converts"
        ),
        pytest.param(
            [(0, "a"), (50, "a"), (55, "b")],
            _funnel("ab", 10, "first"),
            [1, 0],
            id="only the first enters",
        ),
        pytest.param(
            [(0, "a"), (1, "b"), (9, "a"), (11, "c")],
            _funnel("abc", 11),
            [1, 1, 1],
            id="a later entry does not undo an earlier one",
        ),
        pytest.param([(0, "b"), (1, "a")], _funnel("ab", 99), [1, 0], id="steps are ordered"),
        pytest.param([(0, "b")], _funnel("ab", 99), [0, 0], id="nobody entered"),
        pytest.param([], _funnel("ab", 99), [0, 0], id="nobody at all"),
    ],
)
def test_the_definition_by_example(
    warehouse: Warehouse, history: list[tuple[int, str]], funnel: Funnel, people: list[int]
) -> None:
    """Each rule of the definition decides a case of its own."""
    _store(warehouse, [[(at, 0, offset, kind) for offset, (at, kind) in enumerate(history)]])
    assert _people(warehouse, funnel) == people


def test_the_shares_of_a_step(warehouse: Warehouse) -> None:
    """Each step tells its share of the step before and of the first; a share of nobody is 0."""
    both = [(0, 0, 0, "page_viewed"), (1, 0, 1, "friend_added")]
    _store(warehouse, [both, both, both[:1], both[:1]])
    kinds = ("page_viewed", "friend_added", "order_paid", "order_paid")
    assert run_funnel(warehouse, _funnel(kinds, DAY)).steps == (
        StepResult("step 1", 4, 1.0, 1.0),
        StepResult("step 2", 2, 0.5, 0.5),
        StepResult("step 3", 0, 0.0, 0.0),
        StepResult("step 4", 0, 0.0, 0.0),
    )


def test_a_funnel_needs_steps_and_a_window() -> None:
    """A definition that cannot be counted is refused when it is written."""
    with pytest.raises(ValueError, match="no steps"):
        _funnel([], DAY)
    with pytest.raises(ValueError, match="below 0"):
        _funnel(KINDS, -1)


def test_real_purchases(warehouse: Warehouse) -> None:
    """CDNOW: first, second and third purchase within 90 days, as plain Python counts them."""
    days = defaultdict(list)
    for line in _purchases(shipped("examples/cdnow_master.txt")):
        customer, date, *_ = line.split()
        days[customer].append(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC))
    expected = [0, 0, 0]
    for dates in days.values():
        in_time = sum((date - min(dates)).days <= 90 for date in dates)
        for level in range(min(in_time, 3)):
            expected[level] += 1

    histories = [
        [(round(date.timestamp()) * 1000, 0, i, "order_paid") for i, date in enumerate(dates)]
        for dates in days.values()
    ]
    _store(warehouse, histories, copies=2)
    assert len(histories) == 23_570
    funnel = _funnel(["order_paid"] * 3, 90 * DAY, "first")
    assert _people(warehouse, funnel) == expected
    assert expected[0] == len(histories) > expected[1] > expected[2] > 0


def _purchases(file: Path) -> list[str]:
    return file.read_text().splitlines()[1:]
