"""``touchline playbook check`` on broken playbooks: each message names the line and the cure."""

import sys
from pathlib import Path

import pytest
from playbook_yaml import BROKEN, GOOD, written

from schemas.playbook import load_playbook
from schemas.playbook_errors import PlaybookError
from streams.cli import main


def check(file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``touchline playbook check`` on this file; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["touchline", "playbook", "check", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_playbook_that_is_broken_below_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong with it before something is broken."""
    assert check(written(tmp_path, GOOD), monkeypatch) == 0
    assert "is right: broken-on-purpose version 1" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_with_its_line_its_path_and_its_cure(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for the one mistake: file, line, path, and what would be right; exit code 1."""
    case = BROKEN[what]
    assert GOOD.count(case["right"]) == 1, f"{case['right']} should be there once"
    file = written(tmp_path, GOOD.replace(case["right"], case["wrong"]))
    assert check(file, monkeypatch) == 1
    assert capsys.readouterr().err == f"touchline: {file}:{case['told']}\n"


def test_several_mistakes_are_told_at_once_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to run it three times to hear of three mistakes."""
    text = GOOD.replace("per: day", "per: hour").replace("ttl: 30d", "ttl: 30").replace("CNY", "¥")
    assert check(written(tmp_path, text), monkeypatch) == 1
    told = capsys.readouterr().err
    lines = [line.split("playbook.yaml:")[1].split(":")[0] for line in told.splitlines()]
    assert lines == ["3", "9", "30"]


def test_a_misspelled_key_is_told_with_the_one_that_is_missing(tmp_path: Path) -> None:
    """A wrong key says which one was meant, and the right one is missed at its place."""
    with pytest.raises(PlaybookError) as caught:
        load_playbook(written(tmp_path, GOOD.replace("template: hi", "templte: hi")))
    missing, unknown = caught.value.problems
    assert (missing.line, missing.path) == (54, "sops[0].steps[0].action.template")
    assert (unknown.line, unknown.path) == (54, "sops[0].steps[0].action.templte")
    assert "did you mean template" in unknown.message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: &x [*x]", "\0", "? [a]\n: b"])
def test_what_is_no_playbook_at_all_is_refused_with_an_error(tmp_path: Path, text: str) -> None:
    """Emptiness, lists, words and riddles end in a PlaybookError, not in a traceback of YAML."""
    with pytest.raises(PlaybookError):
        load_playbook(written(tmp_path, text))
