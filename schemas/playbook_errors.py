"""What is wrong with a playbook and where: YAML with line numbers, errors that say the cure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from schemas.rules import or_rather, shown

if TYPE_CHECKING:
    from yaml.error import Mark

_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?$"),
}

_CURES = {
    "int_type": "{it} should be a whole number",
    "int_parsing": "{it} should be a whole number",
    "int_from_float": "{it} should be a whole number",
    "float_type": "{it} should be a number",
    "float_parsing": "{it} should be a number",
    "bool_type": "{it} should be true or false",
    "bool_parsing": "{it} should be true or false",
    "string_type": "{it} should be a text in quotes",
    "greater_than_equal": "{it} should be at least {ge:g}",
    "less_than_equal": "{it} should be at most {le:g}",
    "string_too_long": "is too long: keep it to {max_length} characters",
    "string_too_short": "is left empty: write what it is",
    "too_short": "has {actual_length}, and needs at least {min_length}",
    "too_long": "has {actual_length}, and takes at most {max_length}",
}
"""What is right in the words of people, by pydantic's types of errors and what it knows of each."""

_WANTED = "Input should be "

Place = tuple[int | str, ...]
"""A way into the YAML: keys and positions, such as ``("sops", 0, "steps", 1, "after")``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct: the line (from 1), the path in the YAML, and what would be right."""

    line: int
    path: str
    message: str


class PlaybookError(ValueError):
    """A playbook that cannot be used; the message lists every problem, one a line.

    Args:
        file: The playbook's file.
        problems: What to correct, in the order of the file.
    """

    def __init__(self, file: Path, problems: Sequence[Problem]) -> None:
        lines = [f"{file}:{each.line}: {each.path}: {each.message}" for each in problems]
        super().__init__("\n".join(lines))
        self.file = file
        self.problems = tuple(problems)


class _Loader(yaml.SafeLoader):
    """Tells the line of a value that looks like a date or a number, and is none.

    Numbers are those of YAML 1.2. YAML 1.1 would take an unquoted 15:30 for the number 930, to the
    base of sixty, and 010 for 8; here the first is a text and a time of day, the second no number.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, AttributeError, KeyError) as error:  # as PyYAML's parts raise them
            cure = f"{node.value!r} cannot be read ({error}): correct it, or quote a text"
            raise yaml.MarkedYAMLError(problem=cure, problem_mark=node.start_mark) from error


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, list("-+0123456789."))


class PlaybookYaml:
    """A YAML document that remembers the line of everything in it.

    Args:
        text: The document.

    Raises:
        yaml.YAMLError: the text is not YAML, or has aliases.
    """

    def __init__(self, text: str) -> None:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            # An alias may hold itself, and a playbook is read by people, from top to bottom.
            if isinstance(event, yaml.AliasEvent):
                cure = f"has the alias *{event.anchor}: write out what it stands for"
                mark = cast("Mark", event.start_mark)  # SafeLoader is the one in Python
                raise yaml.MarkedYAMLError(problem=cure, problem_mark=mark)
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)
        self.value: Any = _Loader(text).get_single_data()

    def line(self, place: Place) -> int:
        """Return the line of the place, or of the nearest thing around it that exists."""
        node, line = self._root, 1
        for key in place:
            entry = next((each for each in _entries(node) if each[0] == key), None)
            if entry is None:
                break
            _, line, node = entry
        return line

    def repeated_keys(self) -> Iterator[tuple[Place, int]]:
        """Yield each key that its mapping has already, with its line: YAML would drop the first."""
        return _repeated(self._root, ())


def _entries(node: yaml.Node | None) -> Iterator[tuple[int | str, int, yaml.Node]]:
    """Yield the key or position of each thing in a node, its line, and its own node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield position, value.start_mark.line + 1, value


def _repeated(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    known: set[int | str] = set()
    for key, line, value in _entries(node):
        if key in known:
            yield (*place, key), line
        known.add(key)
        yield from _repeated(value, (*place, key))


def causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors without those that follow from others.

    A list counts as too short when one of its items is wrong.
    """
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(place[: len(error["loc"])] == error["loc"] != place for place in places)
    ]


def explain(error: ErrorDetails, model: type[BaseModel]) -> tuple[Place, str]:
    """Return the place of a validation error and a sentence with the cure."""
    place = error["loc"]
    if error["type"] == "missing":
        return place, "is missing; add it"
    if error["type"] == "extra_forbidden":
        known = _fields_at(model, place[:-1])
        return place, "is not a key here" + or_rather(str(place[-1]), known)
    if error["type"] in {"model_type", "dict_type"}:
        keys = ", ".join(_fields_at(model, place))
        with_keys = f" with keys such as {keys}" if keys else ""
        return place, f"{_put(error['input'])} should be a mapping{with_keys}"
    if error["type"] == "tuple_type":
        cure = f": write [{error['input']}]" if isinstance(error["input"], str | int) else ""
        return place, f"{_put(error['input'])} should be a list{cure}"
    if error["type"] in _CURES:
        message = _CURES[error["type"]].format(it=_put(error["input"]), **error.get("ctx", {}))
    else:
        message = error["msg"].removeprefix("Value error, ")
        if message.startswith(_WANTED):
            message = f"{_put(error['input'])} should be {message.removeprefix(_WANTED)}"
    return place, message


def _put(value: Any) -> str:
    return "is left empty, and" if value is None else shown(value)


def _fields_at(model: type[BaseModel], place: Place) -> Mapping[str, Any]:
    """Return the keys that the model has at a place; none where no model is."""
    annotation: Any = model
    for key in place:
        annotation = _inside(_plain(annotation), key)
    return _keys(_plain(annotation))


def _inside(annotation: Any, key: int | str) -> Any:
    """Return the annotation of what is under a key of a model, a mapping or a list."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if get_origin(annotation) in {tuple, list}:
        return get_args(annotation)[0]
    return _keys(annotation).get(str(key))


def _plain(annotation: Any) -> Any:
    """Return the annotation without its metadata, and without ``| None``."""
    while get_origin(annotation) in {Annotated, Union, UnionType}:
        annotation = next(each for each in get_args(annotation) if each is not NoneType)
    return annotation


def _keys(annotation: Any) -> dict[str, Any]:
    """Return what the keys of a model hold, by the names that the YAML uses."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return {}
    fields = annotation.model_fields
    return {field.alias or name: field.annotation for name, field in fields.items()}


def spell(place: Place) -> str:
    """Write a place as people do: ``sops[0].steps[1].after``."""
    spelled = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return spelled.removeprefix(".") or "playbook"
