"""What ``touchline`` answers from a warehouse: in a terminal for people, in JSON for machines."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.records import Fact, Touchpoint
from sinks.migrations import migrate
from sinks.retention import Cohort, Unit
from sinks.tables import FACTS, TOUCHPOINTS
from sinks.warehouse import open_warehouse
from streams.cli import cli
from streams.cli.ask_people import begun

DAY = 86_400_000
MARCH = 1_709_251_200_000  # 2024-03-01 in UTC
Run = Callable[..., str]


def _events() -> Iterator[Touchpoint]:
    """Yield three people, of whom two look, one is referred, and one buys twice."""
    order = {"amount_minor": 6000, "currency": "USD", "product": "cd"}
    yield Touchpoint("1", "ann", MARCH, "page_viewed", {"page": "/"}, source="qr", channel="web")
    yield Touchpoint("2", "ann", MARCH + DAY, "friend_added", {})
    yield Touchpoint("3", "ann", MARCH + 2 * DAY, "order_paid", {"order_id": "a", **order})
    yield Touchpoint("4", "ann", MARCH + 40 * DAY, "order_paid", {"order_id": "b", **order})
    yield Touchpoint("5", "bob", MARCH + DAY, "page_viewed", {"page": "/"}, channel="web")
    yield Touchpoint("6", "ann", MARCH + DAY, "referral_made", {"referred_user_id": "cat"})
    yield Touchpoint("7", "cat", MARCH + 3 * DAY, "activity_attended", {"activity": "camp"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command on a warehouse with these people."""
    url = f"chdb://{tmp_path_factory.mktemp('asked')}/tables"
    with closing(open_warehouse(url)) as warehouse:
        migrate(warehouse)
        rows = [TOUCHPOINTS.row(("touchpoints", 0, i, 0), e) for i, e in enumerate(_events())]
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
        facts = [
            Fact(str(i), user, kind, MARCH, subject, "", new, "event", "1", "r", "p", 1, {})
            for i, (user, kind, subject, new) in enumerate(
                [
                    ("ann", "stage_changed", "aipl", "interest"),
                    ("ann", "action_requested", "hello/say", "id"),
                    ("bob", "action_suppressed", "hello/say", "holdout"),
                ]
            )
        ]
        rows = [FACTS.row(("facts", 0, i, 0), fact) for i, fact in enumerate(facts)]
        warehouse.insert("facts", FACTS.columns, rows)

    def invoke(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, [*words, "--warehouse", url])
        assert result.exit_code == code, result.output
        return result.output

    return invoke


def _json(run: Run, *words: str) -> Any:
    return json.loads(run(*words, "--json"))


STEPS = ("--step", "page_viewed", "--step", "bought=order_paid{amount_minor: {at_least: 5000}}")


def test_a_funnel_of_ones_own(run: Run) -> None:
    """Steps given on the command line are counted, broken down and laid out by day."""
    answer = _json(run, "funnel", *STEPS, "--window", "7d", "--by", "first:source", "--trend")
    assert [(step["name"], step["people"]) for step in answer["steps"]] == [
        ("page_viewed", 2),
        ("bought", 1),
    ]
    assert answer["steps"][1]["median_ms"] == 2 * DAY
    assert {part["value"] for part in answer["by"]} == {"qr", ""}
    assert [part["day"] for part in answer["trend"]] == ["2024-03-01", "2024-03-02"]
    shown = run("funnel", *STEPS, "--by", "first:source", "--trend")
    assert "bought" in shown
    assert "50.0%" in shown
    assert "2.0 d" in shown


def test_who_fell_out_of_a_funnel(run: Run) -> None:
    """The people who looked and did not buy are named, for a SOP to take up."""
    answer = _json(run, "funnel", *STEPS, "--fell-out", "1")
    assert [person["user_id"] for person in answer["fell_out"]] == ["bob"]
    shown = " ".join(run("funnel", *STEPS, "--fell-out", "1").split())
    assert "bob │ 2024-03-0" in shown
    excluded = _json(run, "funnel", *STEPS, "--exclude", "friend_added@1-2")
    assert [step["people"] for step in excluded["steps"]] == [2, 0]


def test_in_any_order_a_row_says_how_many_steps(run: Run) -> None:
    """A row counts people by how many steps they took, so no step's name stands there."""
    names = [step["name"] for step in _json(run, "funnel", *STEPS, "--order", "any")["steps"]]
    assert names == ["any 1 of 2", "all 2"]


def test_a_sample_says_so(run: Run) -> None:
    """A sampled answer carries its share."""
    assert _json(run, "funnel", *STEPS, "--sample", "0.5")["sample"] == 0.5


def test_a_funnel_is_drawn_into_a_file(run: Run, tmp_path: Path) -> None:
    """The chart is written beside the answer; a wrong ending is said, and nothing is asked."""
    file = tmp_path / "funnel.svg"
    people = _json(run, "funnel", *STEPS)["steps"][0]["people"]
    assert "wrote" in run("funnel", *STEPS, "--trend", "--chart", str(file))
    assert f">{people:,}</text>" in file.read_text()
    assert run("funnel", *STEPS, "--chart", "funnel.pdf", code=1) == ""
    message = run("funnel", *STEPS, "--fell-out", "1", "--chart", str(file), code=2)
    assert "leave out --fell-out" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--step", "order_payed"), "did you mean order_paid"),
        (("--step", "order_paid{pgae: x}"), "is not a field of order_paid"),
        ((*STEPS, "--exclude", "order_refunded"), "CONDITION@1-2"),
        ((*STEPS, "--order", "strict", "--exclude", "friend_added@1-2"), "excludes everything"),
        ((*STEPS, "--by", "third:source"), "first:source"),
        ((*STEPS, "--since", "last week"), "no day or time"),
        ((*STEPS, "--timezone", "Mars", "--since", "2024-03-01"), "not a time zone"),
        ((*STEPS, "--window", "week"), "not a duration"),
        ((*STEPS, "--timezone", "Mars"), "not a time zone"),
        ((*STEPS, "--since", "2024-03-02", "--until", "2024-03-01"), "put the later last"),
        ((*STEPS, "--fell-out", "3"), "--fell-out 3: ad hoc has 2 steps"),
        ((*STEPS, "--by", "3:product"), "--by 3: ad hoc has 2 steps"),
        ((*STEPS, "--sample", "0.1", "--by", "first:source"), "leave out --by"),
        ((*STEPS, "--fell-out", "1", "--trend"), "leave out --by and --trend"),
        (("repeat-purchase", "--window", "9d"), "leave out --window"),
        (("repeat-purchase", *STEPS, "--order", "any"), "leave out --step, --order"),
        (("--step", "order_paid{amount_minor: {at_least:1}}"), "a space after the colon"),
    ],
)
def test_a_question_that_makes_no_sense(run: Run, words: tuple[str, ...], message: str) -> None:
    """It is refused with what would be right."""
    assert message in " ".join(run("funnel", *words, code=2).split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("effect", "second-purchse"), "did you mean second-purchase"),
        (("flow", "--machine", "aiplx", "--since", "2024-02-01", "--at", "2024-02-02"), "aipl?"),
        (("flow", "--since", "2024-03-01", "--at", "2024-02-01"), "is not after --since"),
        (("rfm", "--since", "2024-03-01", "--at", "2024-03-01"), "is not after --since"),
        (("referrals", "--since", "2024-03-01", "--until", "2024-02-01"), "put the later last"),
        (("retention", "--begins", "group_joined{community:spring}"), "a space after the colon"),
    ],
)
def test_a_question_about_nothing(run: Run, words: tuple[str, ...], message: str) -> None:
    """A name that nobody has, and a period without time, are refused instead of counted as 0."""
    assert message in " ".join(run("ask", *words, code=2).split())


@pytest.mark.parametrize(("unit", "periods"), [("month", 2), ("week", 5), ("day", 32)])
def test_nobody_is_missed_in_a_period_that_has_not_begun(unit: Unit, periods: int) -> None:
    """From 1 January (a Thursday) to 1 February there were so many periods, the last one new."""
    start = date(2026, 1, 1) if unit != "week" else date(2025, 12, 29)
    cohort = Cohort(start, 9, (9, *[0] * 40))
    assert len(begun(cohort, unit, date(2026, 2, 1)).returned) == periods


def test_every_question_has_an_answer(run: Run) -> None:
    """Each of the other questions answers in JSON."""
    (cohort,) = _json(run, "ask", "retention")
    assert (cohort["start"], cohort["people"], cohort["returned"]) == ("2024-03-01", 1, [1, 1])
    (cell,) = _json(run, "ask", "rfm", "--at", "2024-03-31")
    assert (cell["letters"], cell["revenue_minor"]) == ("HLH", 6000)
    (moved,) = _json(run, "ask", "rfm", "--since", "2024-03-01", "--at", "2024-03-31")
    assert moved == {"from": "", "to": "HLH", "people": 1}
    (credit,) = _json(run, "ask", "attribution", "--lookback", "90d")
    assert credit == {"value": "web", "revenue_minor": 12000, "orders": 2.0}
    referred = _json(run, "ask", "referrals", "--since", "2024-03-02", "--until", "2024-04-01")
    assert referred["k"] == {"existing": 1, "new": 2, "by_referral": 1, "k": 1.0}
    assert referred["tree"][0]["user_id"] == "ann"
    flow = _json(run, "ask", "flow", "--since", "2024-02-01", "--at", "2024-03-01")
    assert flow == [{"from": "", "to": "interest", "people": 1}]
    part = _json(
        run, "ask", "participation", "--group", "page_viewed,activity_attended",
        "--since", "2024-03-01", "--until", "2024-04-01",
    )  # fmt: skip
    assert (part["took_part"], part["group"]) == (1, 3)
    effect = _json(run, "ask", "effect", "hello")
    assert (effect["treated"], effect["lift"]) == ({"people": 1, "converted": 1}, 1.0)


@pytest.mark.parametrize(
    "words",
    [
        ("ask", "retention"),
        ("ask", "rfm", "--at", "2024-03-31"),
        ("ask", "rfm", "--since", "2024-03-01", "--at", "2024-03-31"),
        ("ask", "attribution", "--model", "position"),
        ("ask", "referrals", "--since", "2024-03-02", "--until", "2024-04-01"),
        ("ask", "flow", "--since", "2024-02-01", "--at", "2024-03-01"),
        ("ask", "effect", "hello"),
        ("board", "--of", "2024-03-15"),
    ],
    ids=" ".join,
)
def test_every_question_has_a_table(run: Run, words: tuple[str, ...]) -> None:
    """For people the same answers are drawn."""
    assert len(run(*words).splitlines()) >= 3


def test_the_board(run: Run) -> None:
    """March is shown beside February, in the calendar of the time zone that is named."""
    answer = _json(run, "board", "--of", "2024-03-15", "--cost", "2000", "--timezone", "UTC")
    lines = {line["name"]: line for line in answer["metrics"]}
    assert answer["since"] == MARCH
    assert (lines["revenue"]["value"], lines["revenue"]["before"]) == (6000, 0)
    assert lines["landing_uv"]["value"] == 2
    assert lines["roi"]["value"] == 2.0
    assert [part["name"] for part in answer["products"]] == ["cd"]
    assert "k factor" in run("board", "--of", "2024-03-15", "--unit", "week")


def test_the_tables_are_migrated_and_checked(run: Run) -> None:
    """Migrating again does nothing, and nothing is missing."""
    assert _json(run, "warehouse", "migrate") == {"applied": []}
    assert _json(run, "warehouse", "check") == []
