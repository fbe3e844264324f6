"""Contracts change only in ways that every reader can follow, and with a version of their own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from strategies import AVRO, avsc

from schemas.compatibility import Break, find_breaks, main
from schemas.contracts import history

CONTRACTS = sorted(path.stem for path in AVRO.glob("*.avsc"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the contracts, to change."""
    return Path(shutil.copytree(AVRO, tmp_path / "avro"))


def release(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> list[Break]:
    """Change a contract, add the change to its history as is proper, and look for breaks."""
    schema = avsc(name)
    change(schema)
    version = len(list(history(name, folder))) + 1
    for path in (f"{name}.avsc", f"history/{name}.v{version}.avsc"):
        (folder / path).write_text(json.dumps(schema))
    return list(find_breaks(folder))


def remove(name: str) -> Callable[[dict[str, Any]], None]:
    """Remove a field."""

    def change(schema: dict[str, Any]) -> None:
        schema["fields"] = [field for field in schema["fields"] if field["name"] != name]

    return change


def retype(name: str, new: Any) -> Callable[[dict[str, Any]], None]:
    """Give a field another type."""

    def change(schema: dict[str, Any]) -> None:
        (field,) = (field for field in schema["fields"] if field["name"] == name)
        field["type"] = new

    return change


def add(**field: Any) -> Callable[[dict[str, Any]], None]:
    """Add a field."""
    return lambda schema: schema["fields"].append(field)


def drop_first_kind(schema: dict[str, Any]) -> None:
    """Remove a kind of touchpoint."""
    del schema["fields"][-1]["type"][0]


def add_kind(schema: dict[str, Any]) -> None:
    """Add a kind of touchpoint."""
    schema["fields"][-1]["type"].append({"type": "record", "name": "Danced", "fields": []})


def test_the_contracts_break_no_reader() -> None:
    """Every current contract is compatible with every version that ever was."""
    assert list(find_breaks()) == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_versions_are_numbered_without_a_gap(name: str) -> None:
    """Each contract has a history, from version 1 on."""
    versions = [path.name for path in history(name)]
    assert versions
    assert versions == [f"{name}.v{number}.avsc" for number in range(1, len(versions) + 1)]


def test_history_holds_no_orphan() -> None:
    """Every file of the history is a version of a current contract."""
    kept = {path for name in CONTRACTS for path in history(name)}
    assert set((AVRO / "history").iterdir()) == kept


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        pytest.param("touchpoint", retype("user_id", "long"), "type_mismatch", id="type"),
        pytest.param("touchpoint", add(name="x", type="string"), "missing_default", id="added"),
        pytest.param("touchpoint", drop_first_kind, "missing_union_branch", id="kind"),
        pytest.param("dead_letter", retype("offset", "int"), "type_mismatch", id="narrower"),
        pytest.param("fact", remove("rule"), "fact.v1: it cannot read the current", id="removed"),
        pytest.param("action_requested", remove("step"), "cannot read the current", id="removed"),
        pytest.param("fact", retype("playbook_version", "long"), "cannot read", id="wider"),
    ],
)
def test_a_break_is_caught(
    folder: Path, name: str, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    """A change that some reader cannot follow is found, and the reason told."""
    breaks = release(folder, name, change)
    told = [f"{found.version}: {found.why}" for found in breaks]
    assert {found.contract for found in breaks} == {name}
    assert any(
        why.replace("missing_default", "reader_field_missing_default") in line for line in told
    ), told


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("touchpoint", add_kind, id="a new kind"),
        pytest.param("touchpoint", remove("community"), id="a field that only we read"),
        pytest.param("dead_letter", retype("partition", "long"), id="a wider type that we read"),
        pytest.param("fact", add(name="x", type="string", default=""), id="a field by default"),
        pytest.param("fact", remove("old"), id="a field that readers have a default for"),
    ],
)
def test_a_change_that_all_readers_follow_is_let_through(
    folder: Path, name: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """A compatible change with a version of its own is no break."""
    assert release(folder, name, change) == []


def test_every_earlier_version_counts(folder: Path) -> None:
    """A field that comes back with another type breaks the first version, not the last."""
    assert release(folder, "fact", remove("old")) == []
    breaks = release(folder, "fact", retype("old", "long"))
    assert {found.version for found in breaks} == {"fact.v1"}


def test_a_change_without_a_version_is_caught(folder: Path) -> None:
    """Nobody changes a contract without adding it to its history."""
    schema = avsc("fact")
    schema["fields"].append({"name": "x", "type": "string", "default": ""})
    (folder / "fact.avsc").write_text(json.dumps(schema))
    (found,) = find_breaks(folder)
    assert "add it to history as the next version" in found.why


def test_wording_needs_no_version(folder: Path) -> None:
    """Docs may be mended in place: no reader depends on them."""
    (folder / "fact.avsc").write_text(json.dumps(avsc("fact") | {"doc": "Better words."}))
    assert list(find_breaks(folder)) == []


def test_the_command_says_what_is_compatible() -> None:
    """``python -m schemas.compatibility`` names the contracts and exits 0."""
    command = [sys.executable, "-m", "schemas.compatibility"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"compatible with every earlier version: {', '.join(CONTRACTS)}\n"


def test_the_command_exits_with_1_on_a_break(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A break is printed with its contract, version and reason, and the exit code is 1."""
    release(folder, "fact", retype("subject", "long"))
    assert main(folder) == 1
    assert (
        "fact: fact.v1: the current schema cannot read it: type_mismatch" in capsys.readouterr().out
    )
