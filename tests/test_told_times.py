"""Stories tell times by the playbook's clock, and say which key ended a journey."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from journeys_people import DAY, Person, book, sop, step, when

from processors.bounds import profile_bound
from processors.playbook import compile_playbook
from schemas.jsonlines import format_line
from schemas.playbook import find_playbook
from schemas.records import Fact, Touchpoint
from schemas.shipped import shipped
from streams.cli import cli
from streams.cli.story import Teller

NOON = when("2026-03-02T12:00")


def fact(**values: str) -> Fact:
    """Return a fact with these readings."""
    return Fact("f", "ann", "action_deferred", NOON, "tour/hi", "", "cap", "timer", "t",
                "caps.week", "p", 1, values)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("until", str(NOON), "2026-03-02 20:00:00+08:00"),
        ("due_at", str(NOON), "2026-03-02 20:00:00+08:00"),
        ("last order_paid", str(NOON), "2026-03-02 20:00:00+08:00"),
        ("message_received then order_paid", str(NOON), "2026-03-02 20:00:00+08:00"),
        ("monetary_minor", str(NOON), str(NOON)),
        ("at_most", "3", "3"),
        ("until", "soon", "soon"),
    ],
)
def test_readings_that_are_times_are_told_as_such(name: str, value: str, told: str) -> None:
    """No milliseconds where an operator looks for a time of day; no times where there are none."""
    sentence = Teller(ZoneInfo("Asia/Shanghai")).sentence(fact(**{name: value}))
    assert sentence == f"action deferred tour/hi: cap  by caps.week [{name}={told}]"


def test_utc_is_told_in_short() -> None:
    """Z, as ISO 8601 has it."""
    assert Teller(ZoneInfo("UTC")).clock(NOON) == "2026-03-02 12:00:00Z"


def test_explain_tells_by_the_clock_of_the_playbook() -> None:
    """What was put off is told with the time to which it was, in Shanghai."""
    events = str(shipped("examples/refined-retail.jsonl"))
    story = CliRunner().invoke(
        cli, ["explain", "--user", "lin", "--playbook", "refined-retail", "--events", events]
    )
    assert story.exit_code == 0, story.output
    lines = story.stdout.splitlines()
    (deferred,) = (n for n, line in enumerate(lines) if "deferred first-purchase/sample" in line)
    assert "until=2025-03-04 09:00:00+08:00" in lines[deferred]
    assert lines[deferred - 1] == "2025-03-03 22:55:00+08:00  timer first-purchase/sample"
    assert "1741" not in story.stdout  # no milliseconds of that month are left


@pytest.mark.parametrize(
    ("keys", "reason", "rule"),
    [
        ({}, "completed", "sops.tour.steps"),
        ({"goal": {"event": "order_paid"}}, "goal", "sops.tour.goal"),
        ({"exit_if": {"paid": {"event": "order_paid"}}}, "paid", "sops.tour.exit_if.paid"),
        ({"exit_on": ["second_order"]}, "second_order", "sops.tour.exit_on"),
    ],
)
def test_an_end_names_its_key(keys: dict[str, object], reason: str, rule: str) -> None:
    """By the last step, the goal, a named exit or a condition: the rule says which."""
    ann = Person(book(sop(step("hi", delay="1d"), **keys)), NOON)
    ann.pays("o1")
    ann.joins()
    if keys:
        ann.pays("o2")
    ann.waits(2 * DAY)
    (ended,) = (each for each in ann.facts if each.kind == "journey_exited")
    assert (ended.new, ended.rule) == (reason, rule)


def test_an_sop_that_is_gone_is_no_exit() -> None:
    """A journey whose SOP was removed, or whose version, says so."""
    ann = Person(book(sop(step("hi", delay="1d"))), NOON)
    ann.joins()
    ann.under(book()).waits(2 * DAY)
    (ended,) = (each for each in ann.facts if each.kind == "journey_exited")
    assert (ended.new, ended.rule) == ("sop_removed", "sops")


@pytest.mark.parametrize("name", ["second-purchase", "refined-retail"])
def test_show_says_how_large_a_profile_can_get(name: str) -> None:
    """The one bound, that of the property tests."""
    shown = CliRunner().invoke(cli, ["playbook", "show", name]).stdout
    bound = profile_bound(compile_playbook(find_playbook(name)))
    assert f"a profile takes at most {bound:,} bytes" in shown


def test_a_correction_is_told_with_what_decided(tmp_path: Path) -> None:
    """Ann's second order had happened before she was reminded, and the log learned of it after."""
    first, second, arrived = (when(day) for day in ("2026-01-05", "2026-02-03", "2026-02-05"))
    events = [
        Touchpoint(f"a{number}", "ann", at, "order_paid",
                   {"order_id": f"o{number}", "amount_minor": 4500, "currency": "USD"})
        for number, at in enumerate((first, second))
    ]  # fmt: skip
    file = tmp_path / "late.jsonl"
    file.write_text(f"{format_line(events[0])}\n{format_line(events[1], arrived)}\n")
    for command in (["explain"], ["why-not", "--sop", "second-purchase"]):
        told = CliRunner().invoke(cli, [*command, "--user", "ann", "--events", str(file)]).stdout
        (line,) = (each for each in told.splitlines() if "action corrected" in each)
        assert " -> second_order  by sops.second-purchase.exit_on [" in line
        assert "requested_at=2026-02-04 00:00:00Z, occurred_at=2026-02-03 00:00:00Z" in line
