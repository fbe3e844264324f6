"""A playbook is checked before use: every mistake has its line, its path and its cure."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from processors.playbook import compile_playbook
from schemas.playbook import PlaybookSpec, find_playbook, load_playbook, playbook_json_schema
from schemas.playbook_errors import PlaybookError
from schemas.shipped import shipped
from streams.cli import cli

DAY = 86_400_000

GOOD = """\
name: demo
version: 1
currency: CNY
rfm: {recency_days: 30, frequency: 2, monetary_minor: 100}
sops:
  - name: hello
    version: 1
    enter: {event: friend_added}
    steps:
      - name: one
        after: 2h
        action: {family: message, template: hi}
      - name: two
        after: 3d
        action:
          family: benefit
          template: gift
    exit_on: [second_order]
funnels:
  - name: way
    window: 7d
    steps:
      - {name: seen, event: page_viewed}
      - {name: bought, event: order_paid}
"""

BROKEN = [
    ("version: 1\ncurr", "version: one\ncurr", 2, "version", "whole number"),
    ("currency: CNY", "currency: yuan", 3, "currency", "three capital letters (ISO 4217)"),
    ("currency: CNY\n", "", 1, "currency", "is missing"),
    ("recency_days: 30, ", "", 4, "rfm.recency_days", "is missing"),
    ("after: 2h", "after: 2 hours", 11, "sops[0].steps[0].after", "write 30d, 12h"),
    ("after: 2h", "after: 30", 11, "sops[0].steps[0].after", "30 is not a duration"),
    ("after: 3d", "after: 1h", 14, "sops[0].steps[1].after", "before the step above"),
    ("name: two", "name: one", 13, "sops[0].steps[1].name", "is taken"),
    ("friend_added", "freind_added", 8, "sops[0].enter.event[0]", "did you mean friend_added"),
    ("family: benefit", "family: gift", 16, "sops[0].steps[1].action.family", "'tag_sync'"),
    ("exit_on: [second_order]", "exit_on: [third]", 18, "sops[0].exit_on[0]", "'no_order'"),
    ("      - {name: bought, event: order_paid}\n", "", 22, "funnels[0].steps", "at least 2"),
    ("window: 7d", "window: 7d\n    window: 8d", 22, "funnels[0].window", "here twice"),
    ("funnels:", "funels:", 19, "funels", "did you mean funnels"),
    ("version: 1\ncurr", "version: [1\ncurr", 3, "playbook", "expected"),
    ("name: hello", "name: Hello there", 6, "sops[0].name", "write hello-there"),
    (
        "sops:\n",
        "stages: {aipl: {interest: [page_viewed]}}\nsops:\n",
        5,
        "stages.aipl.interest",
        "awareness has already",
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
    """One mistake in a good playbook gives one problem that says where and what would be right."""
    assert GOOD.count(right) == 1
    path = written(tmp_path, GOOD.replace(right, wrong))
    with pytest.raises(PlaybookError) as caught:
        load_playbook(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (line, place)
    assert cure in problem.message
    assert f"{path}:{line}: {place}: " in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Problems are listed together, in the order of the file."""
    text = GOOD.replace("after: 3d", "after: soon").replace("currency: CNY", "currency: 1")
    with pytest.raises(PlaybookError) as caught:
        load_playbook(written(tmp_path, text))
    assert [problem.line for problem in caught.value.problems] == [3, 14]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: &x [*x]", "\0", "? [a]\n: b"])
def test_what_is_no_playbook_at_all_is_refused_with_an_error(tmp_path: Path, text: str) -> None:
    """Emptiness, lists, words and riddles end in a PlaybookError, not in a traceback of YAML."""
    with pytest.raises(PlaybookError):
        load_playbook(written(tmp_path, text))


def test_a_misspelled_key_is_told_with_the_one_that_is_missing(tmp_path: Path) -> None:
    """A wrong key says which one was meant, and the right one is missed at its place."""
    with pytest.raises(PlaybookError) as caught:
        load_playbook(written(tmp_path, GOOD.replace("template: hi", "templte: hi")))
    missing, unknown = caught.value.problems
    assert (missing.line, missing.path) == (12, "sops[0].steps[0].action.template")
    assert (unknown.line, unknown.path) == (12, "sops[0].steps[0].action.templte")
    assert "did you mean template" in unknown.message


def test_a_good_playbook_is_read_as_it_says(tmp_path: Path) -> None:
    """Durations become milliseconds; what is left out has the documented default."""
    spec = load_playbook(written(tmp_path, GOOD))
    assert [step.after for step in spec.sops[0].steps] == [DAY // 12, 3 * DAY]
    assert (spec.lateness, spec.dedupe_window, spec.min_order_minor) == (7 * DAY, 256, 1)
    assert spec.funnels[0].window == 7 * DAY


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


def test_a_playbook_is_found_by_name_or_path(tmp_path: Path) -> None:
    """A bare name is a shipped playbook, a .yaml is a file."""
    assert find_playbook("second-purchase").sops[0].name == "second-purchase"
    assert find_playbook(str(written(tmp_path, GOOD))).name == "demo"


def test_a_playbook_is_shown_as_a_tree_of_its_keys(tmp_path: Path) -> None:
    """Each part goes by its key, an item by its name or its place, a title as it is written."""
    tag = "{name: keen, title: '[new] \\[/]', when: {event: attribute_set, where: {name: goal}}}"
    asked = "    exit_if: {moved: {not: {tag: keen}}}\nfunnels:\n"
    text = GOOD.replace("funnels:\n", asked) + f"tags: [{tag}]\n"
    shown = CliRunner().invoke(cli, ["playbook", "show", str(written(tmp_path, text))]).stdout
    bare = " ".join(shown.replace("│", "").replace("├──", "").replace("└──", "").split())
    assert "keen title: [new] \\[/] when event: attribute_set where name equals: goal" in bare
    assert "moved not tag name: keen" in bare
    assert "at_any_hour: false" in bare
