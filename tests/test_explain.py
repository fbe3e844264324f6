"""``explain``, ``why-not`` and ``backtest``: every action and every silence has its reason."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from the_line import TheLine, await_account

from processors.timeline import tell
from schemas.jsonlines import Line, format_line, read_lines
from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.cli import cli

STEPS = str(shipped("examples/first-steps.jsonl"))
UNTIL = "2026-03-01T00:00:00Z"


def said(*arguments: str) -> str:
    """Return what the command prints; it must succeed."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_story_tells_each_event_and_timer_with_what_followed() -> None:
    """Ann's story: an order, and thirty days later a timer with the reminder and its rule."""
    story = said("explain", "--user", "ann", "--events", STEPS, "--until", UNTIL)
    chapters = [line for line in story.splitlines() if not line.startswith(" ")]
    assert [line.split("  ")[1].split(" ")[0] for line in chapters] == ["order_paid", "timer"]
    assert "action requested second-purchase/reminder" in story
    assert "by sops.second-purchase.steps.reminder" in story


def test_a_story_may_come_through_a_pipe() -> None:
    """``-`` is standard input; what happens to others moves the clock, as in a file."""
    lines = Path(STEPS).read_text()
    arguments = ("explain", "--user", "ann", "--events", "-")
    result = CliRunner().invoke(cli, arguments, input=lines)
    assert result.stdout == said("explain", "--user", "ann", "--events", STEPS)
    stranger = Touchpoint("e", "zoe", 1_772_323_200_000, "group_left", {"way": ""})  # 1 March
    later = CliRunner().invoke(cli, arguments, input=f"{lines}{format_line(stranger)}\n")
    assert later.stdout == said("explain", "--user", "ann", "--events", STEPS, "--until", UNTIL)


def test_a_story_leaves_other_people_out() -> None:
    """Only facts of the person asked for are told, as JSON lines too."""
    facts = said("explain", "--user", "bob", "--events", STEPS, "--json").splitlines()
    assert {json.loads(fact)["user_id"] for fact in facts} == {"bob"}


def test_why_not_says_what_ended_the_journey() -> None:
    """Bob was not reminded because his second order came."""
    reason = said("why-not", "--user", "bob", "--sop", "second-purchase", "--events", STEPS)
    assert "journey exited second-purchase: reminder -> second_order" in reason


def test_why_not_says_when_a_journey_was_never_entered(tmp_path: Path) -> None:
    """Whoever has never ordered is told what would have opened the journey."""
    file = tmp_path / "scan.jsonl"
    file.write_text(Path(STEPS).read_text().splitlines()[1] + "\n")
    reason = said("why-not", "--user", "bob", "--sop", "second-purchase", "--events", str(file))
    assert "never came to second-purchase" in reason
    assert "order_paid, of which there were 0 in 1 events" in reason


def test_why_not_says_what_else_the_entry_asks_for(tmp_path: Path) -> None:
    """An event of the right kind that did not pass `where` is no riddle."""
    file = tmp_path / "left.jsonl"
    touchpoint = Touchpoint("e1", "ann", 0, "attribute_set", {"name": "city", "value": "Xi'an"})
    file.write_text(format_line(touchpoint) + "\n")
    reason = said(
        *("why-not", "--user", "ann", "--sop", "birthday", "--playbook", "refined-retail"),
        *("--events", str(file)),
    )
    assert "of which there were 1 in 1 events; it also asks for" in reason
    assert '"where": {"name": {"equals": "birthday"}}' in reason


def test_why_not_says_which_condition_never_held(tmp_path: Path) -> None:
    """An SOP that opens by a condition alone names it, as the playbook has it."""
    file = tmp_path / "left.jsonl"
    file.write_text(format_line(Touchpoint("e1", "ann", 0, "group_left", {"way": ""})) + "\n")
    reason = said(
        *("why-not", "--user", "ann", "--sop", "care-for-the-best", "--playbook", "refined-retail"),
        *("--events", str(file)),
    )
    assert 'its entry condition never became true: {"segment": ["important_value"]}' in reason


def test_a_change_to_nothing_is_told_as_one(tmp_path: Path) -> None:
    """Who loses the segment with the only order is not told as having got it."""
    file = tmp_path / "refunded.jsonl"
    money = {"order_id": "o", "amount_minor": 4500, "currency": "USD"}
    kinds = enumerate(("order_paid", "order_refunded"))
    events = [Touchpoint(f"e{at}", "ann", at, kind, money) for at, kind in kinds]
    events.append(Touchpoint("e9", "ann", 9, "friend_removed", {"by_person": False}))
    file.write_text("\n".join(map(format_line, events)))
    story = said("explain", "--user", "ann", "--events", str(file))
    assert "segment changed rfm: general_develop -> none  by" in story
    assert "friend_removed e9: by_person=false" in story


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["explain", "--user", "nobody", "--events", STEPS], "nothing is known of 'nobody'"),
        (["why-not", "--user", "ann", "--sop", "x", "--events", STEPS], "it has second-purchase"),
    ],
)
def test_a_question_about_nothing_is_answered_plainly(arguments: list[str], wanted: str) -> None:
    """An unknown person or SOP is an error that names what there is."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert wanted in result.output


def test_a_backtest_finds_who_would_be_asked_by_one_playbook_only(tmp_path: Path) -> None:
    """Reminding after 10 days instead of 30 also reaches Bob, who came back after 14."""
    quick = tmp_path / "quick.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    quick.write_text(text.replace("after: 30d", "after: 10d"))
    report = json.loads(
        said(
            "backtest",
            "--playbook",
            str(quick),
            "--against",
            "second-purchase",
            "--events",
            STEPS,
            "--until",
            UNTIL,
            "--json",
        )
    )
    assert report["actions"] == {"old": 1, "new": 2}
    assert [row["user_id"] for row in report["only_new"]] == ["bob"]
    assert report["only_old"] == []
    assert report["by_day"]["2026-02-04"] == {"old": 1, "new": 0}


@pytest.mark.kafka
def test_a_story_from_the_log_is_the_story_of_the_file(line: TheLine) -> None:
    """Read from Kafka, a person's story is the same as folded from the events."""
    with Path(STEPS).open() as stream:
        lines = [each for each in read_lines(stream) if isinstance(each, Line)]
    with line.worker() as worker:
        worker.wait_ready()
        line.publish(sorted((each.touchpoint for each in lines), key=lambda each: each.occurred_at))
        await_account([worker], len(lines))
    where = ["--bootstrap", line.settings.bootstrap, "--topic-prefix", line.settings.topic_prefix]
    assert said("explain", "--user", "bob", *where) == said(
        "explain", "--user", "bob", "--events", STEPS
    )


def test_an_event_that_came_twice_is_told_where_it_came_first() -> None:
    """The second time nothing followed: there is one chapter, at the first."""
    event = Touchpoint("e1", "ann", 5, "group_left", {"way": ""})
    (chapter,) = tell([(event, 10), (event, 20)], [])
    assert (chapter.at, chapter.touchpoint, chapter.facts) == (10, event, ())
