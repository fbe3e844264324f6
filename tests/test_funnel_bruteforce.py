"""The funnel's SQL against plain Python that tries every choice of events, person by person."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random

import pytest
from funnel_oracle import Event, Rules, distinct, histories, path, rows, times
from warehouses import NewTables

from sinks.condition import Condition
from sinks.funnel import fell_out, funnel_trend, run_funnel, run_funnel_by
from sinks.funnel_events import NARROW
from sinks.funnel_paths import paths
from sinks.funnel_spec import Breakdown, Exclusion, Funnel, Step, StepField, Touch
from sinks.sql import Params
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Warehouse

PEOPLE = 10_000
SEED = 20_240_229

VIEW = Condition.of("page_viewed")
VIEW_X = Condition.of("page_viewed", page="x")
FRIEND = Condition.of("friend_added")
ORDER = Condition.of("order_paid")
BIG = Condition.of("order_paid", amount_minor={"at_least": 100})
FRIEND_OR_ORDER = Condition.of("friend_added", "order_paid")
LEFT = Condition.of("group_left")
TESTS = {
    VIEW: lambda e: e.kind == "page_viewed",
    VIEW_X: lambda e: e.kind == "page_viewed" and e.page == "x",
    FRIEND: lambda e: e.kind == "friend_added",
    ORDER: lambda e: e.kind == "order_paid",
    BIG: lambda e: e.kind == "order_paid" and e.amount >= 100,
    FRIEND_OR_ORDER: lambda e: e.kind in {"friend_added", "order_paid"},
    LEFT: lambda e: e.kind == "group_left",
}
FIRST, LAST = Touch("first", "source"), Touch("last", "source")


@pytest.fixture(scope="module")
def people() -> dict[str, list[Event]]:
    """Ten thousand random histories, ties, repeats and exact windows among them."""
    return histories(Random(SEED), PEOPLE, longest=7)  # noqa: S311 - test data


@pytest.fixture(scope="module")
def warehouse(people: dict[str, list[Event]], new_tables: NewTables) -> Iterator[Warehouse]:
    """Their events, part of them stored twice."""
    with new_tables() as warehouse:
        stored = rows(people)
        warehouse.execute("SYSTEM STOP MERGES touchpoints")
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, stored)
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, stored[: len(stored) // 3])
        yield warehouse


def _funnel(
    *conditions: Condition,
    window: int,
    order: str = "ordered",
    entry: str = "latest",
    exclusions: tuple[Exclusion, ...] = (),
    since: int | None = None,
    until: int | None = None,
) -> Funnel:
    steps = tuple(Step(f"step {i}", each) for i, each in enumerate(conditions, 1))
    return Funnel("tested", steps, window, entry, order, exclusions, since, until)  # type: ignore[arg-type]


def _rules(funnel: Funnel) -> Rules:
    return Rules(
        tuple(TESTS[step.condition] for step in funnel.steps),
        funnel.window_ms,
        funnel.order,
        funnel.entry == "first",
        tuple((TESTS[each.condition], each.after, each.before) for each in funnel.exclusions),
        **{
            name: bound
            for name in ("since", "until")
            if (bound := getattr(funnel, name)) is not None
        },
    )


def _value(events: list[Event], taken: list[Event], by: Breakdown | None) -> str | None:
    if by is None:
        return ""
    if isinstance(by, StepField):
        if len(taken) < by.step:
            return None
        event = taken[by.step - 1]
        return event.source if by.field == "source" else event.page
    touches = [
        e for e in distinct(events)
        if e.source and e.kind != "action_reported" and e <= taken[0]
    ]  # fmt: skip
    return touches[0 if by.which == "first" else -1].source if touches else ""


CASES = [
    (_funnel(VIEW, FRIEND, ORDER, window=5), FIRST),
    (_funnel(ORDER, ORDER, ORDER, window=4), None),
    (_funnel(VIEW_X, FRIEND_OR_ORDER, BIG, window=6, since=2, until=9), LAST),
    (_funnel(VIEW, FRIEND, ORDER, window=6, entry="first"), StepField(2, "source")),
    (
        _funnel(VIEW, VIEW_X, ORDER, window=9, exclusions=(Exclusion(LEFT, 1, 3),)),
        StepField(1, "page"),
    ),
    (
        _funnel(
            VIEW, FRIEND, FRIEND_OR_ORDER, ORDER, window=10,
            exclusions=(Exclusion(VIEW_X, 2, 3), Exclusion(LEFT, 1, 4), Exclusion(BIG, 2, 4)),
        ),
        LAST,
    ),
    (_funnel(VIEW, window=0), None),
    (_funnel(VIEW, FRIEND, ORDER, window=7, order="strict"), LAST),
    (_funnel(ORDER, FRIEND_OR_ORDER, window=3, order="strict", entry="first"), FIRST),
    (_funnel(VIEW, VIEW, BIG, window=8, order="strict", since=1, until=8), StepField(3, "source")),
    (_funnel(VIEW, FRIEND, ORDER, window=5, order="any"), FIRST),
    (_funnel(ORDER, BIG, FRIEND, window=4, order="any", entry="first"), LAST),
    (
        _funnel(ORDER, FRIEND_OR_ORDER, BIG, VIEW, window=6, order="any", since=1, until=9),
        StepField(2, "source"),
    ),
    (
        _funnel(ORDER, ORDER, FRIEND, window=9, order="any", exclusions=(Exclusion(LEFT, 1, 3),)),
        None,
    ),
    (_funnel(VIEW, ORDER, window=9, order="any", exclusions=(Exclusion(BIG, 1, 2),)), LAST),
]  # fmt: skip


@pytest.mark.parametrize(("funnel", "by"), CASES, ids=lambda each: getattr(each, "order", ""))
def test_every_person_takes_the_path_of_the_specification(
    warehouse: Warehouse, people: dict[str, list[Event]], funnel: Funnel, by: Breakdown | None
) -> None:
    """For each of the people the very events of the attempt, and its part, are as specified."""
    expected = {
        user_id: ([(e.at, e.partition, e.offset) for e in taken], _value(events, taken, by))
        for user_id, events in people.items()
        if (taken := path(events, _rules(funnel)))
    }
    params = Params()
    unpacked = """
        arrayMap(x -> (
            toInt64(bitShiftRight(x, 86)),
            toUInt16(bitShiftRight(x, 70)),
            toUInt64(bitAnd(bitShiftRight(x, 22), 281474976710655))), path)"""
    sql = f"SELECT person, {unpacked}, value FROM ({paths(funnel, params, by=by, named=True)})"  # noqa: S608 - ours
    found = {
        user_id: ([tuple(place.values()) for place in taken], value)
        for user_id, taken, value in warehouse.query(sql, params.values)
    }
    assert found == expected
    assert len(found) > PEOPLE / 10, "the case tests next to nothing"


@pytest.mark.parametrize(("funnel", "by"), CASES, ids=lambda each: getattr(each, "order", ""))
def test_the_fast_way_knows_what_it_cannot_know(
    warehouse: Warehouse, people: dict[str, list[Event]], funnel: Funnel, by: Breakdown | None
) -> None:
    """Without places in the log, all but people with two events at one time have the same path."""
    params = Params()
    sql = "SELECT person, arrayMap(x -> toInt64(bitShiftRight(x, 22)), path), value, tied FROM "
    sql += f"({paths(funnel, params, NARROW, by=by, named=True)})"
    answer = warehouse.query(sql, params.values)
    tied = {user_id for user_id, _, _, is_tied in answer if is_tied}
    found = {user_id: (at, value) for user_id, at, value, is_tied in answer if not is_tied}
    assert found == {
        user_id: ([event.at for event in taken], _value(events, taken, by))
        for user_id, events in people.items()
        if user_id not in tied and (taken := path(events, _rules(funnel)))
    }
    assert len(found) > PEOPLE / 20, "the case tests next to nothing"
    # A third of the people are stored twice: a tie, too, unless twice does what once does.
    stored_once = tied - set(list(people)[: PEOPLE // 3 + PEOPLE // 50])
    assert all(len({event.at for event in people[u]}) < len(people[u]) for u in stored_once)


@pytest.mark.parametrize("funnel", [CASES[0][0], CASES[7][0], CASES[10][0]], ids=lambda f: f.order)
def test_the_answers_sum_up_the_paths(
    warehouse: Warehouse, people: dict[str, list[Event]], funnel: Funnel
) -> None:
    """Counts, times, parts, days and who fell out are those of the paths, exactly."""
    taken = {u: p for u, events in people.items() if (p := path(events, _rules(funnel)))}
    steps = len(funnel.steps)
    result = run_funnel(warehouse, funnel)
    assert [step.people for step in result.steps] == _counts(taken.values(), steps)
    for step in range(1, steps):
        took = sorted(times(each)[step - 1] for each in taken.values() if len(each) > step)
        assert result.steps[step].median_ms == took[len(took) // 2]
        assert result.steps[step].p90_ms == took[int(len(took) * 0.9)]

    parts = defaultdict(list)
    for user_id, each in taken.items():
        parts[_value(people[user_id], each, FIRST)].append(each)
    by = run_funnel_by(warehouse, funnel, FIRST)
    assert {value: [step.people for step in part.steps] for value, part in by.items()} == {
        value: _counts(each, steps) for value, each in parts.items()
    }
    (day,) = funnel_trend(warehouse, funnel, timezone="Asia/Shanghai").values()
    assert day == result

    ended = sorted(u for u, each in taken.items() if len(each) == 2)
    page = fell_out(warehouse, funnel, 2, count=100)
    assert [person.user_id for person in page] == ended[:100]
    assert [(p.entered_at, p.last_at) for p in page] == [
        (taken[p.user_id][0].at, taken[p.user_id][-1].at) for p in page
    ]
    following = fell_out(warehouse, funnel, 2, after=page[-1].user_id, count=100)
    assert [person.user_id for person in following] == ended[100:200]


def test_a_sample_is_of_the_same_people_and_states_its_error(warehouse: Warehouse) -> None:
    """Half of the people give the whole, give or take the error that is stated."""
    funnel = CASES[0][0]
    whole = run_funnel(warehouse, funnel)
    half = run_funnel(warehouse, funnel, share=0.5)
    assert half == run_funnel(warehouse, funnel, share=0.5)
    for step, estimate in zip(whole.steps, half.steps, strict=True):
        assert 0 < estimate.error < step.people / 10
        assert abs(estimate.people - step.people) < 2 * estimate.error
    with pytest.raises(ValueError, match="share above 0"):
        run_funnel(warehouse, funnel, share=0.0)


def _counts(taken: object, steps: int) -> list[int]:
    reached = Counter(len(each) for each in taken)  # type: ignore[attr-defined]
    return [sum(n for k, n in reached.items() if k >= step) for step in range(1, steps + 1)]
