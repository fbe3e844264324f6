"""A mistake in an SOP or in the rules of reaching out is told with its place and its cure."""

from pathlib import Path

import pytest

from schemas.playbook import find_playbook, load_playbook
from schemas.playbook_errors import PlaybookError

GOOD = """\
name: demo
version: 1
currency: CNY
rfm: {recency_days: 30, frequency: 2, monetary_minor: 100}
timezone: Asia/Shanghai
consent: {marketing: opt_in}
quiet_hours: {from: 22:00, to: "08:00"}
caps:
  - {name: daily, at_most: 1, per: day}
holdout: {percent: 5, salt: spring}
sops:
  - name: tour
    version: 3
    enter: {event: group_joined, where: {way: qr}}
    reentry: {after: 30d}
    exit_on: [friend_removed]
    exit_if:
      rich: {segment: important_value}
    previous:
      - version: 2
        steps:
          - {name: old, action: {family: message, template: old}}
    migrate: {from: 1, steps: {old: ask}}
    steps:
      - name: ask
        days: 1
        at: 09:30
        only_if: {attribute: {name: city, equals: Xi'an}}
        action:
          family: message
          template: ask
          purpose: marketing
          params: {name: "{attribute.name|you}"}
      - name: reply
        wait:
          for: {event: message_received}
          timeout: 2d
          else: again
      - name: thank
        then: end
        action: {family: message, template: thank}
      - name: again
        delay: 1d
        then: ask
        action: {family: message, template: again}
"""

BROKEN = [
    ("Asia/Shanghai", "Asia/Shanghia", 5, "timezone", "such as Asia/Shanghai"),
    ("marketing: opt_in", "marketing: maybe", 6, "consent.marketing", "'opt_in' or 'opt_out'"),
    ('to: "08:00"', "to: 8am", 7, "quiet_hours.to", 'write "09:30"'),
    ('to: "08:00"', 'to: "24:00"', 7, "quiet_hours.to", "from 00:00 to 23:59"),
    ('to: "08:00"', "to: 22:00", 7, "quiet_hours", "two different times"),
    ("per: day", "per: day, within: 1d", 9, "caps[0]", "exactly one of"),
    ("per: day", "per: year", 9, "caps[0].per", "'month'"),
    ("percent: 5", "percent: 101", 10, "holdout.percent", "at most 100"),
    (
        "{event: group_joined, where: {way: qr}}",
        "{where: {way: qr}}",
        14,
        "sops[0].enter",
        "needs an `event`",
    ),
    ("{after: 30d}", "sometimes", 15, "sops[0].reentry", "never, after_exit or {after: 30d}"),
    ("[friend_removed]", "[unfriended]", 16, "sops[0].exit_on[0]", "'friend_removed'"),
    ("segment: imp", "sgment: imp", 18, "sops[0].exit_if.rich.sgment", "did you mean segment"),
    ("version: 2", "version: 3", 20, "sops[0].previous[0].version", "older than 3"),
    ("from: 1,", "from: 2,", 23, "sops[0].migrate[0].from", "not kept in `previous`"),
    ("{old: ask}", "{old: axe}", 23, "sops[0].migrate[0].steps.old", "there are: ask"),
    ("        days: 1\n        at: 09:30\n", "        days: 1\n", 25, "sops[0].steps[0]", "at:"),
    ("days: 1", "days: 1\n        after: 2d", 25, "sops[0].steps[0]", "keep one of after"),
    ("at: 09:30", "at: half nine", 27, "sops[0].steps[0].at", 'write "09:30"'),
    ("family: message\n", "family: mail\n", 30, "sops[0].steps[0].action.family", "'message'"),
    (
        "purpose: marketing",
        "purpose: markting",
        32,
        "sops[0].steps[0].action.purpose",
        "add `markting: opt_in` to consent",
    ),
    ("{attribute.name|you}", "{atribute.name}", 33, "sops[0].steps[0].action.params.name", "did"),
    ("{attribute.name|you}", "{attribute}", 33, "sops[0].steps[0].action.params.name", "a name"),
    ("{attribute.name|you}", "{oops", 33, "sops[0].steps[0].action.params.name", "write {{"),
    ("timeout: 2d", "timeout: soon", 37, "sops[0].steps[1].wait.timeout", "write 30d"),
    ("else: again", "else: agian", 38, "sops[0].steps[1].wait.else", "did you mean again"),
    ("{event: message_received}", "{evnt: x}", 36, "sops[0].steps[1].wait.for.evnt", "event"),
    ("        wait:\n", "        delay: 1d\n        wait:\n", 34, "sops[0].steps[1]", "is a wait"),
    ("name: thank\n", "name: end\n", 39, "sops[0].steps[2].name", "choose another"),
    ("name: thank\n", "name: ask\n", 39, "sops[0].steps[2].name", "is taken"),
    ("else: again", "else: end", 42, "sops[0].steps[3]", "never reached"),
    (
        "    migrate:",
        "    at_any_hour: true\n    quiet_hours: {from: 01:00, to: 02:00}\n    migrate:",
        12,
        "sops[0]",
        "keep one",
    ),
]


def written(tmp_path: Path, text: str) -> Path:
    """Write a playbook and return its path."""
    path = tmp_path / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("right", "wrong", "line", "place", "cure"), BROKEN)
def test_a_mistake_has_its_line_its_path_and_its_cure(
    tmp_path: Path, right: str, wrong: str, line: int, place: str, cure: str
) -> None:
    """One mistake in a good playbook is told where it is, with what would be right."""
    assert GOOD.count(right) == 1
    with pytest.raises(PlaybookError) as caught:
        load_playbook(written(tmp_path, GOOD.replace(right, wrong)))
    problem = caught.value.problems[0]
    assert (problem.line, problem.path) == (line, place)
    assert cure in problem.message


def test_the_good_playbook_is_read_as_it_says(tmp_path: Path) -> None:
    """Times of day may be written with and without quotes; both are minutes."""
    spec = load_playbook(written(tmp_path, GOOD))
    (sop,) = spec.sops
    assert spec.quiet_hours is not None
    assert (spec.quiet_hours.start, spec.quiet_hours.end, sop.steps[0].at) == (1320, 480, 570)
    assert (sop.reentry, sop.enter.event) == (30 * 86_400_000, ("group_joined",))
    assert find_playbook("second-purchase").sops[0].reentry is None
