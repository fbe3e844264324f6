"""The reference of the playbook is complete, up to date, and its examples are right."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from processors.playbook import compile_playbook
from schemas.playbook import load_playbook, playbook_json_schema
from schemas.playbook.__main__ import render_keys

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "playbook.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
WALK = 4  # the first examples are the parts of one file
HEAD: dict[str, Any] = {
    "name": "example",
    "version": 1,
    "currency": "CNY",
    "rfm": {"recency_days": 30, "frequency": 2, "monetary_minor": 100},
}


@pytest.mark.parametrize("text", EXAMPLES[WALK:], ids=lambda text: text.split(":")[0])
def test_an_example_of_the_reference_is_right(text: str, tmp_path: Path) -> None:
    """Each one, put under the head of a playbook, passes the check and compiles."""
    head = {
        key: value for key, value in HEAD.items() if not re.search(rf"^{key}:", text, re.MULTILINE)
    }
    file = tmp_path / "example.yaml"
    file.write_text(yaml.safe_dump(head) + text, encoding="utf-8")
    compile_playbook(load_playbook(file))


def test_the_walk_through_builds_the_file_that_it_runs() -> None:
    """The four parts, one below the other, are ``examples/first-sop.yaml``."""
    parts = [part.rstrip("\n") for part in EXAMPLES[:WALK]]
    written = (ROOT / "examples" / "first-sop.yaml").read_text(encoding="utf-8")
    assert "\n\n".join(parts) + "\n" == written


def test_the_page_of_keys_is_what_the_models_say() -> None:
    """``python -m schemas.playbook > docs/playbook-keys.md`` changes nothing."""
    assert (ROOT / "docs" / "playbook-keys.md").read_text(encoding="utf-8") == render_keys()


def test_every_key_is_explained() -> None:
    """The reference speaks of each key of each mapping."""
    schema = playbook_json_schema()
    kinds = {"PlaybookSpec": schema, **schema["$defs"]}
    keys = {key for kind in kinds.values() for key in kind["properties"]}
    prose = set(re.findall(r"[a-z_]+", PAGE))
    assert sorted(keys - prose) == []
