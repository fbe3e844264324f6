"""The README's examples are run, and print what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "playbook.md"]


def examples() -> list[tuple[str, str]]:
    """Return each ``$ command`` of the console blocks, with the output that follows it."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                while command.endswith("\\"):
                    more, _, output = output.partition("\n")
                    command = f"{command}\n{more}"
                found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "output"), examples(), ids=lambda text: text[:40])
def test_an_example_prints_what_its_page_says(command: str, output: str) -> None:
    """A reader who types the command sees this output, to the letter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-euc", command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PATH": path, "COLUMNS": "100"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip() == output.rstrip()


def test_there_are_examples() -> None:
    """The README shows at least three commands with their output."""
    assert len(examples()) >= 3
