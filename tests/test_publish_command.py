"""``touchline publish`` onto a real Kafka: what counts, what is refused, and what it says."""

import json
import re

import pytest
from click.testing import CliRunner, Result
from the_line import TheLine

from schemas.shipped import shipped
from streams.cli import cli

STEPS = shipped("examples/first-steps.jsonl").read_text().splitlines()
pytestmark = pytest.mark.kafka


def publish(line: TheLine, lines: list[str], *flags: str) -> Result:
    """Publish these lines from a file."""
    file = line.folder / "events.jsonl"
    file.write_text("\n".join(lines) + "\n")
    where = ["--bootstrap", line.settings.bootstrap, "--topic-prefix", line.settings.topic_prefix]
    return CliRunner().invoke(cli, ["publish", str(file), *where, *flags])


def test_every_line_becomes_a_record_keyed_by_its_person(line: TheLine) -> None:
    """All are acknowledged and counted; with --replay a record has the time of its event."""
    result = publish(line, STEPS, "--replay", "--json")
    assert json.loads(result.stdout) == {"published": 5, "bad": 0}
    records = line.read("touchpoints")
    assert sorted(record.key for record in records) == [b"ann", b"bob", b"bob", b"bob", b"bob"]
    assert min(record.timestamp for record in records) == 1767578400000


def test_a_bad_line_stops_and_is_named_or_is_skipped_on_request(line: TheLine) -> None:
    """The message has the line and what would be right; what came before it is published."""
    broken = [STEPS[0], STEPS[1].replace("link_scanned", "link_scaned"), *STEPS[2:]]
    stopped = publish(line, broken)
    assert stopped.exit_code == 1
    assert re.search(r"line 2.*link_scanned", stopped.stderr.replace("\n", " "))
    assert "1 published, 1 bad lines" in stopped.stderr
    skipped = publish(line, broken, "--skip-bad", "--json")
    assert json.loads(skipped.stdout) == {"published": 4, "bad": 1}
    assert skipped.exit_code == 1


def test_a_replay_refuses_to_go_back_in_time(line: TheLine) -> None:
    """Played in its own time a file must be in order, or timers would fire too early."""
    result = publish(line, [STEPS[2], STEPS[0]], "--replay")
    assert result.exit_code == 1
    assert "goes back in time" in result.stderr


def test_a_replay_has_the_times_that_are_stated(line: TheLine) -> None:
    """A log is played again as it was taken, late events too; without --replay it is taken now."""
    late = [STEPS[2], STEPS[0]]
    stated = [
        json.dumps(json.loads(each) | {"appended_at": 1_767_600_000_000 + number})
        for number, each in enumerate(late)
    ]
    assert publish(line, stated, "--replay").exit_code == 0
    assert sorted(record.timestamp for record in line.read("touchpoints")) == [
        1_767_600_000_000,
        1_767_600_000_001,
    ]
    assert publish(line, stated[::-1], "--replay").exit_code == 1
    assert publish(line, stated).exit_code == 0
    assert max(record.timestamp for record in line.read("touchpoints")) > 1_767_600_000_001


def test_a_record_that_the_workers_would_not_take_is_a_bad_line(line: TheLine) -> None:
    """The bound is the deployment's, in both directions."""
    large = json.dumps(json.loads(STEPS[0]) | {"channel": "x" * 300_000})
    assert "at most 262144" in publish(line, [large]).stderr
    assert publish(line, [large], "--max-record-bytes", "400000").exit_code == 0
    assert (
        "at most 1024"
        in publish(line, [large.replace("x" * 298_000, "")], "--max-record-bytes", "1024").stderr
    )
