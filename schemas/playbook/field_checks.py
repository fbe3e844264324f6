"""Checks of event fields against the Avro contract: they exist, and hold what they are asked."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from schemas.playbook.conditions import CheckSpec, ConditionSpec, SumSpec
from schemas.playbook.tags import TagSpec
from schemas.playbook_errors import Place
from schemas.rules import FieldRule, envelope_rules, or_rather, payload_rules

Wrong = Iterator[tuple[Place, str]]
_WHOLE = {"an integer of 32 bits", "an integer of 64 bits"}


def field_problems(place: Place, node: BaseModel) -> Wrong:
    """Yield each field in this mapping that its kinds of events lack, or hold in another type."""
    if isinstance(getattr(node, "where", None), dict):
        yield from _where_problems(place, node)
    if isinstance(node, SumSpec):
        yield from _sum_problems(place, node)
    if isinstance(node, TagSpec) and node.value and node.value.field and node.when:
        for kind in _events(node.when):
            known = _fields(kind)
            if node.value.field not in known:
                cure = unknown(node.value.field, f"a field of {kind}", known)
                yield (*place, "value", "field"), cure


def unknown(name: str, what: str, known: Mapping[str, Any]) -> str:
    """Return the sentence on a name that is not among the known ones."""
    return f"{name!r} is not {what}{or_rather(name, known)}"


def _where_problems(place: Place, node: Any) -> Wrong:
    """Yield what the kinds of events at hand do not have, or hold in another type."""
    for name, check in node.where.items():
        for kind in node.event or ():
            rule = _fields(kind).get(name)
            if rule is None:
                cure = unknown(name, f"a field of {kind}", _fields(kind))
                yield (*place, "where", name), cure
            elif isinstance(check, CheckSpec):
                yield from _check_problems((*place, "where", name), rule, check)


def _check_problems(place: Place, rule: FieldRule, check: CheckSpec) -> Wrong:
    for key, value in compared(check):
        if not rule.accepts(value):
            yield (*place, key), f"is {value!r}, but {rule.name} holds {rule.words}"
    numbers = ("at_least", "at_most", "more_than", "less_than")
    asked = [key for key in numbers if getattr(check, key) is not None]
    if asked and not rule.accepts(1):
        yield (*place, asked[0]), f"compares numbers, but {rule.name} holds {rule.words}"
    if check.starts_with is not None and not rule.accepts("a"):
        yield (*place, "starts_with"), f"needs a text, but {rule.name} holds {rule.words}"


def compared(check: CheckSpec) -> list[tuple[str, Any]]:
    """Return each value that the check compares with, and the key that names it."""
    wanted = [("equals", check.equals), ("not_equals", check.not_equals)]
    wanted += [("in", each) for each in check.in_ or ()]
    return [(key, value) for key, value in wanted if value is not None]


def _sum_problems(place: Place, node: SumSpec) -> Wrong:
    for kind in node.event:
        summable = {
            name: rule
            for name, rule in payload_rules()[kind].fields.items()
            if rule.words in _WHOLE
        }
        if node.field not in summable:
            cure = unknown(node.field, f"a whole number of {kind}", summable)
            yield (*place, "field"), cure


def _events(condition: ConditionSpec) -> Iterator[str]:
    """Yield the kinds of events at hand that the condition names."""
    yield from condition.event or ()
    for part in condition.parts:
        yield from _events(part)


def _fields(kind: str) -> dict[str, FieldRule]:
    return {**payload_rules()[kind].fields, **envelope_rules()}
