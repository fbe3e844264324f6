"""What the fields of a touchpoint may hold, as checks and words made from the Avro schema."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from functools import cache
from typing import Any

from schemas.contracts import load_contract

REQUIRED = object()
MAX_ID_CHARS = 256
# 2100-01-01: beyond it, the calendars downstream end (ClickHouse's DateTime in 2106).
END_OF_TIME = 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of a record.

    Attributes:
        name: The field's name.
        words: What it takes, for an error message, such as ``a string``.
        accepts: Whether a value is of the field's type and in its range.
        default: Its Avro default; ``REQUIRED`` where it has none.
        loose: True where Avro bytes can hold what ``accepts`` refuses.
    """

    name: str
    words: str
    accepts: Callable[[Any], bool]
    default: Any
    loose: bool


@dataclass(frozen=True, slots=True)
class PayloadRules:
    """One kind of touchpoint: ``order_paid`` and its Avro record ``touchline.OrderPaid``."""

    kind: str
    record: str
    fields: dict[str, FieldRule]


@cache
def envelope_rules() -> dict[str, FieldRule]:
    """Return the rules of a touchpoint's fields but for the payload, by name."""
    schema = load_contract("touchpoint").plain
    rules = rules_of(field for field in schema["fields"] if field["name"] != "payload")
    for name in ("event_id", "user_id"):
        words = f"a string of 1 to {MAX_ID_CHARS} characters"
        rules[name] = replace(rules[name], words=words, accepts=_is_id, loose=True)
    words = "a time from 1970 to 2099, in milliseconds since 1970 UTC"
    rules["occurred_at"] = replace(rules["occurred_at"], words=words, accepts=_is_time, loose=True)
    return rules


@cache
def payload_rules() -> dict[str, PayloadRules]:
    """Return the rules of every kind of payload, by kind."""
    schema = load_contract("touchpoint").plain
    (union,) = (field["type"] for field in schema["fields"] if field["name"] == "payload")
    return {
        (kind := snake_case(record["name"])): PayloadRules(
            kind, f"{schema['namespace']}.{record['name']}", rules_of(record["fields"])
        )
        for record in union
    }


def rules_of(fields: Iterator[Mapping[str, Any]] | list[Any]) -> dict[str, FieldRule]:
    """Return the rules of the fields of a plain Avro record, by name.

    Raises:
        TypeError: a field has a type that no rule covers.
    """
    rules = {}
    for field in fields:
        name, union = field["name"], field["type"]
        branches = union if isinstance(union, list) else [union]
        for branch in branches:
            if not isinstance(branch, str) or branch not in _TYPES:
                raise TypeError(f"{name}: no rule covers the type {branch}; add one to _TYPES")
        words, checks, loose = zip(*(_TYPES[branch] for branch in branches), strict=True)
        accepts = checks[0] if len(checks) == 1 else _any_of(checks)
        rules[name] = FieldRule(
            name, " or ".join(words), accepts, field.get("default", REQUIRED), any(loose)
        )
    return rules


def find_problems(
    rules: Mapping[str, FieldRule], fields: Mapping[str, Any], place: str = ""
) -> list[str]:
    """Return one sentence for each field that is missing, unknown or wrong; none if all is well.

    Args:
        rules: The rules, by field.
        fields: The values, by field; a field with a default may be left out.
        place: What to put before the fields' names: ``payload.``.
    """
    problems = []
    known = 0
    for name, rule in rules.items():
        if name in fields:
            known += 1
            if not rule.accepts(fields[name]):
                problems.append(f"{place}{name} must be {rule.words}, not {shown(fields[name])}")
        elif rule.default is REQUIRED:
            problems.append(f"{place}{name} is missing: it takes {rule.words}")
    if known < len(fields):
        unknown = [name for name in fields if name not in rules]
        problems += [f"{place}{name} is no field{or_rather(name, rules)}" for name in unknown]
    return problems


def loose_checks(rules: Mapping[str, FieldRule]) -> list[tuple[str, Callable[[Any], bool]]]:
    """Return the name and the check of each field that Avro bytes alone do not make right."""
    return [(rule.name, rule.accepts) for rule in rules.values() if rule.loose]


def or_rather(word: str, choices: Mapping[str, Any]) -> str:
    """Return the end of a sentence on an unknown word: the nearest choice, or all of them."""
    near = get_close_matches(snake_case(word), choices, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(choices) or 'none'}"


def snake_case(name: str) -> str:
    """Return ``order_paid`` for ``OrderPaid``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def shown(value: Any) -> str:
    """Return a value as it was written in YAML or JSON, never longer than 60 characters."""
    match value:
        case None | True | False:
            text = json.dumps(value)
        case date():
            text = str(value)
        case _:
            text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - said in the docstring


def _is_id(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_ID_CHARS


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value < END_OF_TIME


def _is_int(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def _is_long(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_double(value: Any) -> bool:
    return math.isfinite(value) if type(value) is float else _is_long(value)


def _any_of(checks: tuple[Callable[[Any], bool], ...]) -> Callable[[Any], bool]:
    return lambda value: any(check(value) for check in checks)


# Avro type: the words, the check, and whether fastavro may read a value that the check refuses.
_TYPES: dict[str, tuple[str, Callable[[Any], bool], bool]] = {
    "null": ("null", lambda value: value is None, False),
    "boolean": ("true or false", lambda value: type(value) is bool, False),
    "string": ("a string", lambda value: type(value) is str, False),
    "int": ("an integer of 32 bits", _is_int, True),
    "long": ("an integer of 64 bits", _is_long, False),
    "double": ("a finite number", _is_double, True),
}
