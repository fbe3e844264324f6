"""``touchline playbook check`` on broken playbooks: each message names the line and the cure."""

import sys
from pathlib import Path

import pytest

from streams.cli import main

GOOD = """\
name: broken-on-purpose
version: 1
currency: CNY
timezone: Asia/Shanghai
consent: {service: opt_out, marketing: opt_in}
quiet_hours: {from: "22:00", to: "08:30"}
caps:
  - {name: week, at_most: 4, within: 7d}
  - {name: day, at_most: 1, per: day}
holdout: {percent: 5, salt: spring}
rfm: {recency_days: 90, frequency: 2, monetary_minor: 50000}
stages:
  engagement: {silent_after: 5d, lost_after: 9d}
  machines:
    - name: rapport
      states: [{name: stranger}, {name: friend}]
      transitions:
        - {from: stranger, to: friend, when: {event: friend_added}}
points:
  orders: {every_minor: 100}
  events: [{event: referral_made, points: 50}]
tiers:
  levels: [{name: member, from: 0}, {name: gold, from: 500}]
tags:
  - {name: channel, when: {event: link_scanned}, value: {field: source}, ttl: 30d}
  - {name: school, value: {attribute: target_school}}
  - name: intention
    levels:
      - {value: high, when: {count: {event: page_viewed, where: {category: course}, at_least: 3}}}
      - {value: low, when: {tag: channel}}
  - {name: rich, when: {sum: {event: order_paid, field: amount_minor, at_least: 100000}}}
sops:
  - name: welcome
    version: 2
    enter: {event: friend_added, where: {channel: wecom}}
    steps:
      - name: hello
        action: {family: message, template: hi, purpose: service, params: {s: "{tag.school|-}"}}
      - name: reply
        wait: {for: {event: message_received}, timeout: 1d, then: offer, else: nudge}
      - {name: nudge, at: "12:30", action: {family: message, template: nudge}}
      - name: offer
        days: 3
        at: "10:00"
        only_if: {stage: {machine: engagement, is: active}, segment: general_develop}
        action: {family: message, template: offer, purpose: marketing}
    exit_on: [friend_removed]
    reentry: {after: 30d}
funnels:
  - name: first-order
    window: 7d
    steps: [{name: friend, event: friend_added}, {name: order, event: order_paid}]
"""

# What is broken: what stands there, what is written instead, the line, and words of the cure.
BROKEN = {
    "a key that is misspelled": ("timezone:", "timezon:", 4, "did you mean timezone?"),
    "a time zone that is none": ("Asia/Shanghai", "Asia/Shangai", 4, "IANA name such as Asia/"),
    "a policy of consent that is none": ("marketing: opt_in", "marketing: ask", 5, "'opt_in' or"),
    "a time of day with one digit": ('"08:30"', '"8:30"', 6, 'write "09:30"'),
    "a day that is quiet all through": ('to: "08:30"', 'to: "22:00"', 6, "two different times"),
    "a cap over two times": ("within: 7d}", "within: 7d, per: day}", 8, "exactly one of `within`"),
    "two caps of one name": ("{name: day,", "{name: week,", 9, "choose another"),
    "more than all people held out": ("percent: 5", "percent: 500", 10, "at most 100"),
    "a share that no hash can draw": ("percent: 5", "percent: 0.001", 10, "whole hundredths"),
    "a share with its sign": ("percent: 5", "percent: 5%", 10, "'5%' should be a number"),
    "a version in quotes": ("version: 2", 'version: "2"', 34, "'2' should be a whole number"),
    "a template that is a number": ("template: nudge}", "template: 7}", 41, "a text in quotes"),
    "a cut that is missing": ("frequency: 2, ", "", 11, "is missing; add it, or give `means`"),
    "lost before silent": ("lost_after: 9d", "lost_after: 4d", 13, "longer than silent_after"),
    "a machine with a built-in name": ("name: rapport", "name: tier", 15, "choose another"),
    "a transition to nowhere": ("to: friend,", "to: freind,", 18, "did you mean friend?"),
    "points for money by event": (
        "event: referral_made, p",
        "event: order_paid, p",
        21,
        "use that",
    ),
    "tiers out of order": ("gold, from: 500", "gold, from: 0", 22, "rising order of `from`"),
    "a kind of event that is none": (
        "event: link_scanned",
        "event: link_scaned",
        25,
        "link_scanned?",
    ),
    "a field the event does not have": (
        "field: source",
        "field: sauce",
        25,
        "did you mean source?",
    ),
    "a duration in words": ("ttl: 30d", "ttl: a month", 25, "write 30d, 12h, 45m or 90s"),
    "an expiry of what its rule upholds": (
        "value: {attribute: target_school}",
        "value: {attribute: target_school}, ttl: 9d",
        26,
        "drop them, or add the `event`",
    ),
    "a count without a bound": (", at_least: 3}", "}", 29, "needs at_least, at_most or both"),
    "a text where a number is compared": (
        "where: {category: course}",
        "where: {category: {at_least: 3}}",
        29,
        "category holds a string",
    ),
    "a tag that nobody gives": ("{tag: channel}", "{tag: chanel}", 30, "did you mean channel?"),
    "tags that read each other in a circle": (
        "{event: link_scanned}, value: {field: source}, ttl: 30d}",
        "{tag: intention}}",
        24,
        "take one reading out",
    ),
    "a sum of what is no whole number": (
        "field: amount_minor",
        "field: product",
        31,
        "amount_minor",
    ),
    "a version in words": ("version: 2", "version: two", 34, "whole number"),
    "an entry without an occasion": (
        "enter: {event: friend_added, where: {channel: wecom}}",
        "enter: {}",
        35,
        "needs an `event`, or a `condition`",
    ),
    "a family that no topic has": (
        "family: message, template: hi",
        "family: sms, template: hi",
        38,
        "'message'",
    ),
    "a place without a source": ("{tag.school|-}", "{school}", 38, "there are: attribute"),
    "a purpose without a policy": ("purpose: service", "purpose: sales", 38, "add `sales: opt_in`"),
    "a way to a step that is not there": ("then: offer", "then: ofer", 40, "did you mean offer?"),
    "two steps of one name": ("- name: hello", "- name: nudge", 41, "choose another"),
    "a day without a time of day": ('        at: "10:00"\n', "", 42, 'add at: "09:00"'),
    "a state that the machine lacks": (
        "is: active}",
        "is: asleep}",
        45,
        "there are: active, silent, lost",
    ),
    "a segment that is none": ("general_develop", "general_develp", 45, "general_develop?"),
    "an exit that is none": ("[friend_removed]", "[friend_lost]", 47, "'friend_removed'"),
    "a re-entry in words": ("reentry: {after: 30d}", "reentry: sometimes", 48, "{after: 30d}"),
    "a funnel of one step": (", {name: order, event: order_paid}]", "]", 52, "at least 2"),
    "a key that is there twice": (
        "window: 7d\n",
        "window: 7d\n    window: 8d\n",
        52,
        "is here twice",
    ),
    "a name with capitals and spaces": (
        "name: broken-on-purpose",
        "name: Broken on Purpose",
        1,
        "write broken-on-purpose",
    ),
    "a cap over no time": ("within: 7d}", "within: 0d}", 8, "write 1s or more"),
    "a number that is none": ("percent: 5", "percent: !!int five", 10, "'five' cannot be read"),
    "a list where a value is checked": (
        "where: {channel: wecom}",
        "where: {channel: [wecom, sms]}",
        35,
        "write {in: [wecom, sms]}",
    ),
    "an entry that is a bare event": (
        "enter: {event: friend_added, where: {channel: wecom}}",
        "enter: friend_added",
        35,
        "should be a mapping with keys such as event, where, when, condition",
    ),
    "a tag in a text that nobody gives": ("{tag.school|-}", "{tag.scool|-}", 38, "school?"),
    "a machine in a text that is none": ("{tag.school|-}", "{stage.raport}", 38, "rapport?"),
    "a day that no calendar has": ("days: 3", "date: 2026-13-01", 43, "month must be in 1..12"),
    "a date that is a number": ("days: 3", "date: 20261201", 43, "write 2026-12-18"),
    "a time of day that is an hour": ('at: "10:00"', "at: 10", 44, 'write "10:00"'),
    "a key that is left empty": (
        "exit_on: [friend_removed]",
        "exit_on:",
        47,
        "is left empty, and should be a list",
    ),
    "an exit that is not in a list": (
        "exit_on: [friend_removed]",
        "exit_on: friend_removed",
        47,
        "should be a list: write [friend_removed]",
    ),
    "an alias of YAML": ("window: 7d", "window: *week", 51, "write out what it stands for"),
}


def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    """Run ``touchline playbook check`` on this text; return its exit code."""
    file = tmp_path / "playbook.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["touchline", "playbook", "check", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_playbook_that_is_broken_below_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong with it before something is broken."""
    assert check(tmp_path, monkeypatch, GOOD) == 0
    assert "is right: broken-on-purpose version 1" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_with_its_line_and_its_cure(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for the one mistake: file, line, place, and what would be right; exit code 1."""
    right, wrong, line, cure = BROKEN[what]
    assert GOOD.count(right) == 1, f"{right} should be there once"
    assert check(tmp_path, monkeypatch, GOOD.replace(right, wrong)) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1, told
    assert told[0].startswith(f"touchline: {tmp_path / 'playbook.yaml'}:{line}: ")
    assert cure in told[0]


def test_several_mistakes_are_told_at_once_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to run it three times to hear of three mistakes."""
    text = GOOD.replace("per: day", "per: hour").replace("ttl: 30d", "ttl: 30").replace("CNY", "¥")
    assert check(tmp_path, monkeypatch, text) == 1
    told = capsys.readouterr().err
    lines = [line.split("playbook.yaml:")[1].split(":")[0] for line in told.splitlines()]
    assert lines == ["3", "9", "25"]
