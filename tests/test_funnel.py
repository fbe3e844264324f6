"""The rules of docs/funnels.md, each decided by a case of its own."""

from collections.abc import Iterator, Sequence
from datetime import date

import pytest
from warehouses import NewTables

from schemas.records import Touchpoint
from sinks.condition import Condition
from sinks.funnel import StepResult, fell_out, funnel_trend, run_funnel, run_funnel_by
from sinks.funnel_spec import Exclusion, Funnel, Step, StepField, Touch
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Limits, Warehouse, WarehouseUnavailable

DAY = 86_400_000
KINDS = {
    "A": "page_viewed", "B": "friend_added", "C": "order_paid", "R": "order_refunded",
    "X": "message_received", "S": "action_reported",
}  # fmt: skip
OF = {letter: Condition.of(kind) for letter, kind in KINDS.items()}
OF["b"] = Condition.of("order_paid", amount_minor={"at_least": 100})


@pytest.fixture(scope="module")
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """The tables of the log; each test empties them first."""
    with new_tables() as warehouse:
        yield warehouse


def _store(warehouse: Warehouse, *people: str, at: int = 0) -> None:
    """Store people written as in the spec: ``A0 B10``; in the order of the log."""
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", 0, offset * 100 + person, 0),
            Touchpoint(
                f"e{offset}",
                f"u{person}",
                at + int(event[1:]),
                KINDS[event[0]],
                {"amount_minor": 150 if event[0] == "C" else 0},
            ),
        )
        for person, events in enumerate(people)
        for offset, event in enumerate(events.split())
    ]
    warehouse.execute("TRUNCATE TABLE touchpoints")
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)


def _funnel(steps: str, window: int, order: str = "ordered", **options: object) -> Funnel:
    named = tuple(Step(f"step {i}", OF[letter]) for i, letter in enumerate(steps, 1))
    return Funnel("tested", named, window, order=order, **options)  # type: ignore[arg-type]


def _between(letter: str, after: int, before: int) -> dict[str, object]:
    return {"exclusions": (Exclusion(OF[letter], after, before),)}


NO_R = _between("R", 2, 3)


def _people(warehouse: Warehouse, funnel: Funnel) -> list[int]:
    return [step.people for step in run_funnel(warehouse, funnel).steps]


@pytest.mark.parametrize(
    ("events", "funnel", "people"),
    [
        pytest.param("A0 B10", _funnel("AB", 10), [1, 1], id="window is inclusive"),
        pytest.param("A0 B11", _funnel("AB", 10), [1, 0], id="one ms late is late"),
        pytest.param("A0 B10", _funnel("AB", 40 * 365 * DAY), [1, 1], id="a window of 40 years"),
        pytest.param("A0 B10 C20", _funnel("ABC", 15), [1, 1, 0], id="window is from step 1 on"),
        pytest.param("B5 A5", _funnel("AB", 9), [1, 0], id="a tie is in log order"),
        pytest.param("A5 B5", _funnel("AB", 0), [1, 1], id="a tie takes no time"),
        pytest.param("C0 C5", _funnel("CCC", 9), [1, 1, 0], id="one event is one step"),
        pytest.param("C0 C0", _funnel("CC", 0), [1, 1], id="two events are two steps"),
        pytest.param("A0 A50 B55", _funnel("AB", 10), [1, 1], id="a later entry converts"),
        pytest.param("A0 A50 B55", _funnel("AB", 10, entry="first"), [1, 0], id="first entry only"),
        pytest.param("A0 B1 A9 C11", _funnel("ABC", 11), [1, 1, 1], id="later undoes nothing"),
        pytest.param("B0 A1", _funnel("AB", 99), [1, 0], id="steps are ordered"),
        pytest.param("B0", _funnel("AB", 99), [0, 0], id="nobody entered"),
        pytest.param("", _funnel("AB", 99), [0, 0], id="nobody at all"),
        pytest.param("A0 B1 R2 C3", _funnel("ABC", 9, **NO_R), [1, 1, 0], id="excluded"),
        pytest.param("A0 B1 R2 B3 C4", _funnel("ABC", 9, **NO_R), [1, 1, 1], id="again"),
        pytest.param("A0 R1 B2 C3", _funnel("ABC", 9, **NO_R), [1, 1, 1], id="too early"),
        pytest.param("A0 X1 B2", _funnel("AB", 9, "strict"), [1, 0], id="strict"),
        pytest.param("A0 S1 B2", _funnel("AB", 9, "strict"), [1, 1], id="systems do not interrupt"),
        pytest.param("A0 A1 B2", _funnel("AB", 9, "strict"), [1, 1], id="strict, later entry"),
        pytest.param("C0 A4 B20", _funnel("ABC", 10, "any"), [1, 1, 0], id="any order"),
        pytest.param("B0 C12 A13 B14", _funnel("ABC", 10, "any"), [1, 1, 1], id="any, later entry"),
        pytest.param("C0", _funnel("Cb", 10, "any"), [1, 0], id="one order is one of two steps"),
        pytest.param("C0 C1", _funnel("Cb", 10, "any"), [1, 1], id="two orders are two steps"),
        pytest.param("A5 B9", _funnel("AB", 9, since=5, until=6), [1, 1], id="entry in the period"),
        pytest.param("A5 B9", _funnel("AB", 9, until=5), [0, 0], id="the period's end is outside"),
        pytest.param("A0 A5 B6", _funnel("AB", 9, entry="first", since=5), [0, 0], id="first ever"),
    ],
)  # fmt: skip
def test_the_specification_by_example(
    warehouse: Warehouse, events: str, funnel: Funnel, people: list[int]
) -> None:
    """Each rule of the specification decides a case."""
    _store(warehouse, events)
    assert _people(warehouse, funnel) == people


def test_the_shares_and_times_of_a_step(warehouse: Warehouse) -> None:
    """Each step tells its shares and its times; a share of nobody is 0, their time unknown."""
    _store(warehouse, "A0 B1", "A0 B5", "A0", "A0")
    assert run_funnel(warehouse, _funnel("ABCC", DAY)).steps == (
        StepResult("step 1", 4, 1.0, 1.0),
        StepResult("step 2", 2, 0.5, 0.5, 5, 5),
        StepResult("step 3", 0, 0.0, 0.0),
        StepResult("step 4", 0, 0.0, 0.0),
    )


def test_a_day_is_one_of_the_time_zone(warehouse: Warehouse) -> None:
    """17:00 in UTC on the first is the second in Shanghai."""
    _store(warehouse, "A0", at=DAY - 7 * 3_600_000)
    funnel = _funnel("A", DAY)
    assert list(funnel_trend(warehouse, funnel)) == [date(1970, 1, 1)]
    assert list(funnel_trend(warehouse, funnel, timezone="Asia/Shanghai")) == [date(1970, 1, 2)]


def test_who_fell_out(warehouse: Warehouse) -> None:
    """The people of a step are named, with their first and last event, in pages."""
    _store(warehouse, "A0 B3", "A0", "A1 B2")
    funnel = _funnel("ABC", DAY)
    assert fell_out(warehouse, funnel, 2) == [("u0", 0, 3), ("u2", 1, 2)]
    assert fell_out(warehouse, funnel, 2, after="u0", count=1) == [("u2", 1, 2)]
    assert fell_out(warehouse, funnel, 3) == []


def test_a_person_with_very_many_events(warehouse: Warehouse) -> None:
    """A hundred thousand events of one person are answered within seconds, in each order."""
    _store(warehouse, " ".join(f"{'ABCX'[i % 4]}{i}" for i in range(100_000)))
    for order in ("ordered", "strict", "any"):
        funnel = _funnel("ABC", 10, order)
        assert [s.people for s in run_funnel(warehouse, funnel, limits=Limits(10)).steps] == [
            1,
            1,
            1,
        ]


def test_a_funnel_goes_over_its_limits(warehouse: Warehouse) -> None:
    """A query that needs more than it may take fails and says so."""
    _store(warehouse, " ".join(f"A{i}" for i in range(50_000)))
    with pytest.raises(WarehouseUnavailable, match="MEMORY_LIMIT"):
        run_funnel(warehouse, _funnel("AAA", 10), limits=Limits(memory=1_000_000))


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        ("", {}, "no steps"),
        ("AB", {"window": -1}, "below 0"),
        ("AB", {"order": "strict", **_between("R", 1, 2)}, "excludes everything"),
        ("ABC", _between("R", 2, 2), "between two steps of 1 to 3"),
        ("ABC", _between("R", 1, 4), "between two steps of 1 to 3"),
        ("ABC", {"order": "any", **_between("R", 1, 2)}, "from step 1 to the last"),
    ],
)
def test_a_definition_that_cannot_be_counted(
    steps: str, options: dict[str, object], message: str
) -> None:
    """It is refused when it is written, with the reason."""
    with pytest.raises(ValueError, match=message):
        _funnel(steps, **{"window": DAY, **options})  # type: ignore[arg-type]


def test_too_many_conditions() -> None:
    """22 different conditions do not fit an event's bits; 22 equal ones are one."""
    steps = [
        Step(str(i), Condition.of("order_paid", amount_minor={"at_least": i})) for i in range(22)
    ]
    with pytest.raises(ValueError, match="more than 21"):
        Funnel("long", tuple(steps), DAY)
    Funnel("long", tuple(steps[:1] * 22), DAY)
    with pytest.raises(ValueError, match="at most 4 can be matched"):
        Funnel("overlapping", tuple(steps[:5]), DAY, order="any")


def _parts(steps: Sequence[StepResult]) -> list[int]:
    return [step.people for step in steps]


def test_a_field_of_a_payload_breaks_down(warehouse: Warehouse) -> None:
    """Numbers are shown as text; who did not reach the step is a part without a value."""
    _store(warehouse, "A0 C1", "A0")
    by = run_funnel_by(warehouse, _funnel("AC", DAY), StepField(2, "amount_minor"))
    assert {value: _parts(part.steps) for value, part in by.items()} == {
        "150": [1, 1],
        None: [1, 0],
    }
    with pytest.raises(ValueError, match="no kind of event"):
        run_funnel_by(warehouse, _funnel("AC", DAY), StepField(2, "page'; DROP TABLE facts"))
    nothing = run_funnel_by(warehouse, _funnel("AC", DAY), Touch("first", "campaign"))
    assert list(nothing) == [""]
