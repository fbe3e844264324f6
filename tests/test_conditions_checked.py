"""Rules are checked before use: every mistake has its line, its path and its cure."""

from pathlib import Path

import pytest
from rule_playbook import PLAIN, TEXT

from schemas.playbook import load_playbook, playbook_json_schema
from schemas.playbook_errors import PlaybookError

GOOD = """\
name: checked
version: 1
currency: USD
rfm: {recency_days: 30, frequency: 2, monetary_minor: 5000}
stages:
  engagement: {silent_after: 14d, lost_after: 180d}
  machines:
    - name: course
      states:
        - {name: cold}
        - name: warm
          when: {count: {event: page_viewed, where: {category: course}, within: 7d, at_least: 3}}
    - name: path
      states: [{name: one}, {name: two}]
      transitions:
        - {from: one, to: two, when: {event: trial_started}}
tags:
  - name: hot
    when: {stage: {machine: course, is: warm}}
  - name: spender
    when: {sum: {event: order_paid, field: amount_minor, within: 90d, at_least: 50000}}
  - name: asked
    when: {event: message_received, where: {intent: price, length: {at_least: 3}}}
    ttl: 30d
  - name: school
    group: who
    when: {event: attribute_set, where: {name: school}}
    value: {field: value}
  - name: dear
    when: {tag: hot, segment: important_value}
points:
  events: [{event: activity_attended, points: 10}]
tiers:
  levels: [{name: base, from: 0}, {name: gold, from: 100}]
"""

WARM = "stages.machines[0].states[1].when"
BROKEN = [
    (
        "event: trial_started",
        "event: trial_startd",
        16,
        "stages.machines[1].transitions[0].when.event[0]",
        "did you mean trial_started",
    ),
    (
        "category: course",
        "kategory: course",
        12,
        f"{WARM}.count.where.kategory",
        "did you mean category",
    ),
    ("within: 7d", "within: 7 days", 12, f"{WARM}.count.within", "write 30d, 12h"),
    (", at_least: 3}}\n", "}}\n", 12, f"{WARM}.count", "needs at_least, at_most or both"),
    (
        "at_least: 3}}\n",
        "at_least: 101}}\n",
        12,
        f"{WARM}.count.at_least",
        "at most 100",
    ),
    (
        "to: two",
        "to: three",
        16,
        "stages.machines[1].transitions[0].to",
        "'three' is not a state of path",
    ),
    ("is: warm", "is: wram", 19, "tags[0].when.stage.is", "did you mean warm"),
    ("machine: course", "machine: curse", 19, "tags[0].when.stage.machine", "did you mean course"),
    (
        "field: amount_minor",
        "field: amount",
        21,
        "tags[1].when.sum.field",
        "did you mean amount_minor",
    ),
    (
        "field: amount_minor",
        "field: order_id",
        21,
        "tags[1].when.sum.field",
        "is not a whole number of order_paid",
    ),
    ("within: 90d", "within: 900d", 21, "tags[1].when.sum.within", "or leave it out"),
    (
        "length: {at_least: 3}",
        "length: three",
        23,
        "tags[2].when.where.length.equals",
        "holds an integer of 32 bits",
    ),
    (
        "intent: price",
        "intent: {at_least: 3}",
        23,
        "tags[2].when.where.intent.at_least",
        "holds a string",
    ),
    (
        "length: {at_least: 3}",
        "length: {atleast: 3}",
        23,
        "tags[2].when.where.length.atleast",
        "did you mean at_least",
    ),
    ("length: {at_least: 3}", "length: {}", 23, "tags[2].when.where.length", "checks nothing"),
    ("event: message_received, ", "", 23, "tags[2].when", "has `where` without `event`"),
    ("field: value", "field: valve", 28, "tags[3].value.field", "did you mean value"),
    ("tag: hot", "tag: hott", 30, "tags[4].when.tag", "did you mean hot"),
    ("important_value", "important", 30, "tags[4].when.segment", "did you mean important_"),
    ("when: {tag: hot, segment: important_value}", "when: {}", 30, "tags[4].when", "asks nothing"),
    ("tag: hot, segment", "tagg: hot, segment", 30, "tags[4].when.tagg", "did you mean tag"),
    (
        "when: {stage: {machine: course, is: warm}}",
        "when: {tag: dear}",
        17,
        "tags",
        "hot reads dear reads hot",
    ),
    ("name: spender", "name: hot", 20, "tags[1].name", "'hot' is taken"),
    ("name: dear", "name: dear\n    group: who", 30, "tags[4].group", "mixes two kinds of tags"),
    ("name: dear", "name: dear\n    ttl: 3d", 29, "tags[4]", "`until` and `ttl` mean nothing"),
    ("name: path", "name: tier", 13, "stages.machines[1].name", "is built in"),
    (
        "points:\n  events: [{event: activity_attended, points: 10}]\n",
        "",
        31,
        "tiers",
        "has no `points`",
    ),
    ("event: activity_attended", "event: order_paid", 32, "points.events[0].event", "use that"),
    ("from: 100", "from: 0", 33, "tiers", "rising order"),
    ("lost_after: 180d", "lost_after: 6d", 6, "stages.engagement", "not longer than silent_after"),
    ("frequency: 2, ", "", 4, "rfm.frequency", "or give `means`"),
    ("{name: cold}", "{name: cold, when: {tag: hot}}", 8, "stages.machines[0]", "takes no `when`"),
    (
        "when: {count: {event: page_viewed, where: {category: course}, within: 7d, at_least: 3}}",
        "when: {event: page_viewed}",
        8,
        "stages.machines[0]",
        "which is over at once",
    ),
]


def written(folder: Path, text: str) -> Path:
    """Write a playbook."""
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("right", "wrong", "line", "place", "cure"), BROKEN)
def test_a_mistake_in_a_rule_has_its_line_its_path_and_its_cure(
    tmp_path: Path, right: str, wrong: str, line: int, place: str, cure: str
) -> None:
    """One mistake gives one problem that says where it is and what would be right."""
    load_playbook(written(tmp_path, GOOD))
    assert GOOD.count(right) == 1
    with pytest.raises(PlaybookError) as caught:
        load_playbook(written(tmp_path, GOOD.replace(right, wrong)))
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (line, place)
    assert cure in problem.message


def keys(value: object) -> set[str]:
    """Return every key in a document."""
    if isinstance(value, dict):
        return set(value).union(*(keys(each) for each in value.values()))
    return set().union(*(keys(each) for each in value)) if isinstance(value, list) else set()


def test_the_json_schema_knows_every_key_as_it_is_written() -> None:
    """An editor is told of `in`, `is`, `not` and `from`, of kinds of events and of durations."""
    schema = playbook_json_schema()
    models = [schema, *schema["$defs"].values()]
    known = set().union(*(model.get("properties", {}) for model in models))
    fields = {"category", "page", "intent", "length", "amount_minor", "name", "channel"}
    fields |= {"activity", "positive", "duration_ms"}
    assert keys(PLAIN) - fields <= known
    condition = schema["$defs"]["ConditionSpec"]["properties"]
    assert "not" in condition
    assert "not_" not in condition
    count = schema["$defs"]["CountSpec"]["properties"]
    single, many = count["event"]["anyOf"]
    assert "order_paid" in single["enum"]
    assert many["items"] == single
    assert {"type": "string", "pattern": r"^(\d{1,6})([dhms])$"} in count["within"]["anyOf"]


def test_the_rich_playbook_is_read(tmp_path: Path) -> None:
    """A playbook with every feature has nothing wrong with it."""
    assert load_playbook(written(tmp_path, TEXT)).name == "rules"
