"""The project's own rules: its names, its pins, its layers, and what an import may do."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("streams", "schemas", "processors", "sinks")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = tuple(PROJECT["optional-dependencies"])
PIN_LINES = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]

IMPORT_EVERYTHING = """
import importlib, pkgutil, socket, sys, threading

def refuse(*args, **kwargs):
    raise AssertionError("an import opens a connection or starts a thread")

socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = refuse
socket.getaddrinfo = threading.Thread.start = refuse
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command at the root; what it says is kept, an exit code is no error."""
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def pins() -> dict[str, str]:
    """Return the pinned version of each distribution."""
    split = (line.split("==") for line in PIN_LINES)
    return {canonicalize_name(name): version for name, version in split}


def installed_tree() -> set[str]:
    """Return every distribution that an installation with all extras brings here."""
    seen: set[str] = set()
    waiting = [("touchline", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for line in metadata.requires(name) or ():
            need = Requirement(line)
            wanted = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if wanted and canonicalize_name(need.name) not in seen:
                seen.add(canonicalize_name(need.name))
                waiting.append((need.name, tuple(need.extras)))
    return seen


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_owns_our_import_names(name: str) -> None:
    """Names as common as ours must not be shadowed by another installed distribution."""
    owners = set(metadata.packages_distributions().get(name, ()))

    assert owners <= {"touchline"}


def test_the_distribution_cannot_be_uploaded() -> None:
    """A public index refuses a distribution with this classifier."""
    classifiers = metadata.metadata("touchline").get_all("Classifier") or []

    assert "Private :: Do Not Upload" in classifiers


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    """A pin is a name and a version: no host, no path, no range, in order and once."""
    names = [line.split("==")[0].lower() for line in PIN_LINES]

    assert [line for line in PIN_LINES if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []
    assert names == sorted(set(names))


@pytest.mark.parametrize(
    "requirement",
    [*PROJECT["dependencies"], *(r for e in EXTRAS for r in PROJECT["optional-dependencies"][e])],
)
def test_constraints_satisfy_the_project(requirement: str) -> None:
    """What pyproject.toml asks for is what constraints.txt gives."""
    need = Requirement(requirement)

    assert need.specifier.contains(pins()[canonicalize_name(need.name)])


def test_the_whole_tree_is_pinned() -> None:
    """A dependency of a dependency is pinned too."""
    assert installed_tree() - set(pins()) == set()


def test_imports_go_one_way() -> None:
    """The layers hold: streams -> processors | sinks -> schemas, and processors are pure."""
    linter = Path(sys.executable).with_name("lint-imports")
    lint = run(linter, "--no-cache")

    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_short_enough_to_read(package: str) -> None:
    """No module is longer than 350 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / package).rglob("*.py")
    }

    assert {path: length for path, length in lengths.items() if length > 350} == {}


def test_an_import_connects_to_nothing_and_starts_nothing() -> None:
    """Importing every module opens no connection and starts no thread."""
    imports = run(sys.executable, "-c", IMPORT_EVERYTHING, *PACKAGES)

    assert imports.returncode == 0, imports.stderr
    assert "streams.settings" in imports.stdout.split()


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: page.name,
)
def test_the_documents_name_targets_that_exist(page: Path) -> None:
    """Every `make something` that a document promises can be made."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))

    assert named <= targets


def test_tests_that_share_a_modules_fixture_stay_in_one_process(
    request: pytest.FixtureRequest,
) -> None:
    """Where two processes run the tests, each group of them is known by its name to both."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return  # one process holds them all
    for item in request.session.items:
        for mark in item.iter_markers("xdist_group"):
            assert item.nodeid.endswith(f"@{mark.args[0]}"), "pytest and pytest-xdist do not agree"
