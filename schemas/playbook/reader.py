"""Read a playbook, and say everything that is wrong with it by line and cure."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import ValidationError

from schemas.playbook.checks import name_problems
from schemas.playbook.sops import sop_problems
from schemas.playbook.whole import PlaybookSpec
from schemas.playbook_errors import (
    Place,
    PlaybookError,
    PlaybookYaml,
    Problem,
    causes,
    explain,
    spell,
)
from schemas.rules import or_rather, shown
from schemas.shipped import shipped

_NO_SPACE = re.compile(r"\s*(?:- +)*([A-Za-z_][\w-]*):(?=[^\s/:])")
"""The beginning of a line whose key has no space after its colon; an address is no such key."""


def load_playbook(path: Path | str) -> PlaybookSpec:
    """Read and check a playbook.

    Raises:
        PlaybookError: it cannot be used; the message has every problem with its line and cure.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        document = PlaybookYaml(text)
    except yaml.MarkedYAMLError as error:
        raise PlaybookError(path, [_stumble(error, text.splitlines())]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlaybookError(path, [Problem(1, "playbook", f"is no YAML text: {error}")]) from error
    found = [(place, line, "is here twice: keep one") for place, line in document.repeated_keys()]
    spec = None
    try:
        spec = PlaybookSpec.model_validate(document.value)
        wrong = list(_contradictions(spec))
    except ValidationError as error:
        errors = causes(error.errors(include_url=False))
        wrong = [explain(each, PlaybookSpec) for each in errors]
    found += [(place, document.line(place), message) for place, message in wrong]
    if found or spec is None:
        problems = [Problem(line, spell(place), message) for place, line, message in found]
        raise PlaybookError(path, sorted(problems, key=lambda each: each.line))
    return spec


def find_playbook(name: str) -> PlaybookSpec:
    """Read the shipped playbook of this name, or the YAML file at this path.

    Raises:
        PlaybookError: it cannot be used.
        OSError: there is no such file; the message has the cure.
    """
    if name.endswith((".yaml", ".yml")):
        return load_playbook(name)
    known = {file.stem: file for file in shipped("playbooks").glob("*.yaml")}
    if name not in known:
        cure = or_rather(name, dict(sorted(known.items())))
        raise FileNotFoundError(
            f"no playbook {shown(name)} ships with touchline{cure} "
            "(a file of your own ends in .yaml)"
        )
    return load_playbook(known[name])


def _stumble(error: yaml.MarkedYAMLError, lines: list[str]) -> Problem:
    """Return where the text is no YAML.

    A key whose colon has no space after it is a text, and takes the lines below into it: YAML
    stumbles only where that cannot go on.
    """
    lone = error.problem == "could not find expected ':'"
    mark = error.context_mark if lone else error.problem_mark
    line = mark.line if mark else 0
    if lone or error.problem == "mapping values are not allowed here":
        while line and _NO_SPACE.match(lines[line - 1]):
            line -= 1
        if line < len(lines) and (found := _NO_SPACE.match(lines[line])):
            return Problem(line + 1, "playbook", f"write a space after the colon of `{found[1]}:`")
    return Problem(line + 1, "playbook", f"{error.problem}")


def _contradictions(spec: PlaybookSpec) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between parts that are each right."""
    yield from _repeats(("sops",), [sop.name for sop in spec.sops])
    yield from _repeats(("funnels",), [funnel.name for funnel in spec.funnels])
    yield from _repeats(("caps",), [cap.name for cap in spec.caps])
    yield from name_problems(spec)
    yield from sop_problems(spec.sops, spec.consent)
    staged: dict[str, str] = {}
    for stage, kinds in spec.stages.aipl:
        for kind in kinds:
            if staged.setdefault(kind, stage) != stage:
                at: Place = ("stages", "aipl", stage)
                yield at, f"has {kind!r}, which {staged[kind]} has already: keep one"


def _repeats(place: Place, names: list[str]) -> Iterator[tuple[Place, str]]:
    for position, name in enumerate(names):
        if name in names[:position]:
            yield (*place, position, "name"), f"{name!r} is taken by one above: choose another"
