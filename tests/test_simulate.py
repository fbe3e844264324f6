"""``touchline simulate``: what a file of events comes to, as a story or as JSON lines."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from schemas.jsonlines import format_line
from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.cli import cli
from streams.cli.history import BATCH, count_lines, read_events

STEPS = str(shipped("examples/first-steps.jsonl"))
UNTIL = ("--until", "2026-03-01T00:00:00Z")
RETAIL = (str(shipped("examples/refined-retail.jsonl")), "--playbook", "refined-retail")


def simulated(*arguments: str) -> Result:
    """Run the command; it must succeed."""
    result = CliRunner().invoke(cli, ("simulate", *arguments))
    assert result.exit_code == 0, result.output
    return result


def objects(*arguments: str) -> list[dict[str, Any]]:
    """Return what ``--json`` prints, line by line."""
    return [json.loads(line) for line in simulated(*arguments, "--json").stdout.splitlines()]


def test_a_story_tells_causes_in_order_and_what_followed() -> None:
    """An event or timer a line, with its time; below it each fact with its rule."""
    story = simulated(STEPS, *UNTIL).stdout.splitlines()
    causes = [line.split("  ") for line in story if not line.startswith(" ")]
    assert [(user, what.split(" ")[0]) for _, user, what in causes] == [
        ("ann", "order_paid"),
        ("bob", "link_scanned"),
        ("bob", "order_paid"),
        ("bob", "order_paid"),
        ("ann", "timer"),
    ]
    assert [time for time, _, _ in causes] == sorted(time for time, _, _ in causes)
    assert story[-2].startswith("    action requested second-purchase/reminder: ")


def test_a_story_ends_with_the_time_that_it_reached() -> None:
    """People read it as a time with its zone, machines as milliseconds."""
    assert "actions 1, up to 2026-03-01 00:00:00Z; see" in simulated(STEPS, *UNTIL).stderr
    assert "up to 2025-05-20 10:00:00+08:00" in simulated(*RETAIL).stderr
    assert json.loads(simulated(STEPS, *UNTIL, "--summary").stdout)["clock"] == 1_772_323_200_000


def test_an_empty_file_reaches_no_time() -> None:
    """There is no clock without an event."""
    assert "actions 0; see also" in simulated("/dev/null").stderr


def test_a_late_event_is_told_with_how_late_it_may_be(tmp_path: Path) -> None:
    """The bound reads as in the playbook: 7d."""
    file = tmp_path / "late.jsonl"
    event = {"event_id": "e", "user_id": "u", "kind": "group_joined", "payload": {"way": ""}}
    times = {"occurred_at": "2026-01-01T00:00:00Z", "appended_at": "2026-01-09T00:00:00Z"}
    file.write_text(json.dumps(event | times) + "\n")
    assert "appended_at=2026-01-09 00:00:00Z, lateness=7d" in simulated(str(file)).stdout


def test_a_file_out_of_order_is_told_how_to_be_put_right(tmp_path: Path) -> None:
    """Who wrote person by person learns why everybody after the first one is late."""
    file = tmp_path / "by-person.jsonl"
    days = (("ann", 1), ("ann", 20), ("bob", 1))
    lines = [
        {"event_id": f"{user}-{day}", "user_id": user, "kind": "group_joined", "payload": {},
         "occurred_at": f"2026-01-{day:02}T00:00:00Z"}
        for user, day in days
    ]  # fmt: skip
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    told = simulated(str(file)).stderr
    assert "late 1," in told
    assert "sort them by occurred_at" in told
    assert "sort them" not in simulated(STEPS).stderr


def test_a_line_was_taken_when_it_says_so(tmp_path: Path) -> None:
    """Even at the beginning of 1970; who says nothing was taken with the lines above, at least."""
    file = tmp_path / "log.jsonl"
    events = [Touchpoint(f"e{at}", "u", at, "group_left", {"way": ""}) for at in (7, 9, 5)]
    lines = [format_line(events[0]), format_line(events[1], 0), format_line(events[2])]
    file.write_text("\n".join(lines))
    assert [at for _, at in read_events(file)] == [7, 0, 7]


def test_json_lines_say_what_each_of_them_is() -> None:
    """Facts and actions come as they happen, then each profile, then the counts."""
    lines = objects(STEPS, *UNTIL)
    kinds = [line["type"] for line in lines]
    assert kinds[-3:] == ["profile", "profile", "summary"]
    assert set(kinds[:-3]) == {"fact", "action"}
    (number,) = (n for n, kind in enumerate(kinds) if kind == "action")
    assert lines[number - 1]["kind"] == "action_requested"
    assert lines[number - 1]["new"] == lines[number]["action_id"]
    assert lines[-1]["applied"] == 4
    assert lines[-1]["actions"] == 1


def test_json_lines_hold_what_the_single_lists_hold() -> None:
    """``--facts``, ``--actions`` and ``--profiles`` are the same records without their type."""
    lines = objects(*RETAIL)
    for flag, kind in (("--facts", "fact"), ("--actions", "action"), ("--profiles", "profile")):
        alone = [json.loads(line) for line in simulated(*RETAIL, flag).stdout.splitlines()]
        assert [{"type": kind, **each} for each in alone] == [
            line for line in lines if line["type"] == kind
        ]


def test_facts_come_in_the_order_of_time_however_long_the_file(tmp_path: Path) -> None:
    """Timers that fire between batches, or within one, take their place among the events."""
    file = tmp_path / "long.jsonl"
    with file.open("w") as stream:
        for number in range(2 * BATCH + 100):
            at = 1_700_000_000_000 + number * 3_600_000
            paid = {"order_id": "o", "amount_minor": 100, "currency": "USD"}
            event = Touchpoint(f"e{number}", f"u{number}", at, "order_paid", paid)
            stream.write(format_line(event) + "\n")
    times = [line["at"] for line in objects(str(file)) if line["type"] == "fact"]
    assert len(times) > 4 * BATCH
    assert times == sorted(times)
    assert count_lines(file) == 2 * BATCH + 100


def test_a_rejected_event_is_told(tmp_path: Path) -> None:
    """As an object with its reason, or as a line on stderr beside the story."""
    file = tmp_path / "yen.jsonl"
    file.write_text(Path(STEPS).read_text().splitlines()[0].replace("USD", "JPY") + "\n")
    rejected, summary = objects(str(file))
    assert (rejected["type"], rejected["reason"]) == ("rejected", "currency")
    assert summary["rejected"] == 1
    assert "currency" in simulated(str(file)).stderr


@pytest.mark.parametrize("form", ["--json", "--facts", "--actions", "--profiles"])
def test_lines_for_machines_go_to_stdout_alone(form: str) -> None:
    """A pipe reads nothing but JSON."""
    for line in simulated(STEPS, form, *UNTIL).stdout.splitlines():
        assert isinstance(json.loads(line), dict)
