"""The guarantees and the tests that show them go together."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_test_that_is_named_exists(file: str, name: str) -> None:
    """A promise whose test was renamed or removed is noticed."""
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_invariant_names_its_tests() -> None:
    """Seven invariants, each with its means, its limits and tests that show it."""
    sections = re.split(r"^### \d\. ", TEXT, flags=re.MULTILINE)[1:]
    assert len(sections) == 7
    for section in sections:
        assert "*By*" in section
        assert "*Limits:*" in section
        assert "`tests/" in section
