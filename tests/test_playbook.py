"""A playbook is read as it says, found by name or path, shown, and known to editors.

What may be wrong with one is in ``test_playbook_errors.py``.
"""

import json
from pathlib import Path

from click.testing import CliRunner
from playbook_yaml import GOOD, written
from rule_playbook import PLAIN, TEXT

from processors.playbook import compile_playbook
from schemas.playbook import PlaybookSpec, find_playbook, load_playbook, playbook_json_schema
from schemas.shipped import shipped
from streams.cli import cli

DAY = 86_400_000


def test_a_good_playbook_is_read_as_it_says(tmp_path: Path) -> None:
    """Durations become milliseconds; what is left out has the documented default."""
    spec = load_playbook(written(tmp_path, GOOD))
    welcome, tour = spec.sops
    assert [step.after for step in tour.steps] == [DAY // 12, 6 * DAY, None]
    assert (spec.lateness, spec.dedupe_window, spec.min_order_minor) == (7 * DAY, 256, 1)
    assert spec.funnels[0].window == 14 * DAY
    assert (welcome.reentry, tour.reentry) == (31 * DAY, None)
    assert welcome.enter.event == ("friend_added",)


def test_a_time_of_day_may_be_written_with_and_without_quotes(tmp_path: Path) -> None:
    """Both are minutes after midnight, not the number to the base of sixty of YAML 1.1."""
    for text in (GOOD, GOOD.replace('"10:00"', "10:00")):
        spec = load_playbook(written(tmp_path, text))
        assert spec.quiet_hours is not None
        times = (spec.quiet_hours.start, spec.quiet_hours.end, spec.sops[0].steps[3].at)
        assert times == (22 * 60, 8 * 60 + 30, 10 * 60)


def test_a_playbook_with_every_rule_is_read(tmp_path: Path) -> None:
    """The one that the properties of the rules use has nothing wrong with it."""
    assert load_playbook(written(tmp_path, TEXT)).name == "rules"


def test_what_nobody_can_know_yet_is_no_mistake(tmp_path: Path) -> None:
    """A kept tag's value may come from a hand, an action of a family later, a wait may branch."""
    kept = GOOD.replace("{tag: rich, segment", "{tag: {name: asked, equals: twice}, segment")
    later = GOOD.replace("per: day}", "per: day, families: [tag_sync], channels: [crm]}")
    branch = GOOD.replace("{event: message_received}, timeout: 1d", "{tag: rich}, timeout: 0s")
    for text in (kept, later, branch):
        assert text != GOOD
        assert load_playbook(written(tmp_path, text)).name == "broken-on-purpose"


def test_every_shipped_playbook_compiles() -> None:
    """What ships can be used, under the name of its file."""
    paths = list(shipped("playbooks").glob("*.yaml"))
    assert paths
    for path in paths:
        assert compile_playbook(load_playbook(path)).name == path.stem


def test_a_playbook_is_shown_in_the_words_in_which_it_is_written() -> None:
    """Durations, times of day, dates and re-entry read as in YAML, and mean the same again."""
    for path in shipped("playbooks").glob("*.yaml"):
        spec = load_playbook(path)
        shown = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert PlaybookSpec.model_validate(shown) == spec
    shown = find_playbook("refined-retail").model_dump(mode="json")
    assert (shown["lateness"], shown["stages"]["customer"]["new_for"]) == ("7d", "180d")
    assert find_playbook("refined-retail").model_dump()["lateness"] == 7 * DAY


def test_an_editor_accepts_the_short_forms_and_shows_durations() -> None:
    """The JSON Schema takes a bare tag and a bare value, and has no default in milliseconds."""
    schema = playbook_json_schema()
    kinds = schema["$defs"]
    condition = kinds["ConditionSpec"]["properties"]
    assert condition["tag"]["anyOf"][0] == {"type": "string"}
    bare, _ = condition["where"]["additionalProperties"]["anyOf"]
    assert bare == {"type": ["string", "number", "boolean"]}
    assert schema["properties"]["lateness"]["default"] == "7d"
    assert schema["properties"]["stages"]["default"]["customer"] == {"new_for": "365d"}
    assert kinds["TiersSpec"]["properties"]["keep_for"]["default"] == "0d"
    _, several, _ = condition["segment"]["anyOf"]
    assert several["minItems"] == 1
    assert "important_value" in several["items"]["enum"]
    assert '"ge"' not in json.dumps(schema)


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


def test_a_playbook_is_found_by_name_or_path(tmp_path: Path) -> None:
    """A bare name is a shipped playbook, a .yaml is a file."""
    assert find_playbook("second-purchase").sops[0].name == "second-purchase"
    assert find_playbook(str(written(tmp_path, GOOD))).name == "broken-on-purpose"


def test_a_playbook_is_shown_as_a_tree_of_its_keys(tmp_path: Path) -> None:
    """Each part goes by its key, an item by its name or its place, a title as it is written."""
    when = "{event: attribute_set, where: {name: goal, value: ''}}"
    tag = f"{{name: keen, title: '[new] \\[/]', when: {when}}}"
    text = GOOD.replace("tags:\n", f"tags:\n  - {tag}\n")
    text = text.replace("exit_if:\n", "exit_if:\n      moved: {not: {tag: keen}}\n")
    shown = CliRunner().invoke(cli, ["playbook", "show", str(written(tmp_path, text))]).stdout
    bare = " ".join(shown.replace("│", "").replace("├──", "").replace("└──", "").split())
    assert "keen title: [new] \\[/] when event: attribute_set where name equals: goal" in bare
    assert 'name equals: goal value equals: ""' in bare
    assert "moved not tag name: keen" in bare
    assert "at_any_hour: false" in bare
