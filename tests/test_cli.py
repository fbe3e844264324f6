"""The command line as people and scripts use it, without a broker."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.shipped import shipped
from streams.cli import cli

STEPS = str(shipped("examples/first-steps.jsonl"))


def touchline(*arguments: str, text: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, input=text)


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself(command: str) -> None:
    """``--help`` of each command says what it does in a sentence or more."""
    result = touchline(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.split("Options:")[0].split()) > 10


def test_simulate_prints_one_canonical_line_a_person_in_order() -> None:
    """The dump has a JSON line a person, ordered by user id, keys sorted."""
    lines = touchline("simulate", STEPS, "--profiles").stdout.splitlines()
    people = [json.loads(line) for line in lines]
    assert [person["user_id"] for person in people] == ["ann", "bob"]
    assert lines == [
        json.dumps(person, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for person in people
    ]


@pytest.mark.parametrize(
    "name", ["exam-prep", "growth-loop", "refined-retail", "vocational-course"]
)
def test_simulate_dumps_the_people_of_each_shipped_playbook(name: str) -> None:
    """Whatever a profile holds, sums and points by time included, its line is JSON."""
    events = str(shipped(f"examples/{name}.jsonl"))
    result = touchline("simulate", events, "--playbook", name, "--profiles")
    assert result.exit_code == 0, result.output
    people = [json.loads(line)["user_id"] for line in result.stdout.splitlines()]
    told = [json.loads(line)["user_id"] for line in Path(events).read_text().splitlines()]
    assert people == sorted(set(told))


def test_simulate_lets_the_clock_run_on() -> None:
    """The reminder comes only when the clock passes its time; the repeat counts as a duplicate."""
    before = json.loads(touchline("simulate", STEPS, "--summary").stdout)
    after = json.loads(
        touchline("simulate", STEPS, "--summary", "--until", "2026-02-04T10:00:00+08:00").stdout
    )
    assert (before["actions"], after["actions"]) == (0, 1)
    assert (after["applied"], after["duplicates"]) == (4, 1)


def test_simulate_reads_standard_input() -> None:
    """``-`` is standard input."""
    text = Path(STEPS).read_text()
    assert touchline("simulate", "-", "--json", text=text).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text", "wanted"),
    [
        (["simulate", "-"], "{}\n", "line 1"),
        (["simulate", "-", "--until", "2026-02-04"], "", "time zone"),
        (["simulate", "no-such-file"], None, "No such file"),
        (["profiles", "--url", "ftp://x"], None, "http://"),
    ],
)
def test_errors_name_the_cause(arguments: list[str], text: str | None, wanted: str) -> None:
    """A user's mistake ends with a message about it, not a traceback, and a failing exit code."""
    result = touchline(*arguments, text=text)
    assert result.exit_code != 0
    assert wanted in f"{result.output}{result.exception}"


def test_funnel_lists_the_funnels_of_the_playbook() -> None:
    """Without a name the command says what there is."""
    assert "repeat-purchase: first purchase -> second purchase" in touchline("funnel").stdout
