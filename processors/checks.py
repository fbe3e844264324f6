"""Checks of a single value, compiled to closures: comparisons, sets, prefixes."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.playbook.conditions import CheckSpec
from schemas.records import Touchpoint

Check = Callable[[Any], bool]
Matches = Callable[[Touchpoint], bool]

_ENVELOPE = frozenset(Touchpoint.__struct_fields__) - {"payload"}


def compile_check(spec: CheckSpec) -> Check:
    """Return whether a value passes; None is a value that is not there, and passes nothing.

    Only ``exists: false`` and ``not_equals`` accept what is not there.
    """
    checks = [
        make(wanted)
        for name, make in _CHECKS.items()
        if (wanted := getattr(spec, name)) is not None
    ]
    if not checks:
        return lambda value: value is not None
    if len(checks) == 1:
        return checks[0]
    return lambda value: all(check(value) for check in checks)


def compile_where(where: Mapping[str, CheckSpec]) -> Matches | None:
    """Return whether an event's fields pass all checks; None where there is nothing to check."""
    fields = [(name, compile_check(check), name in _ENVELOPE) for name, check in where.items()]
    if not fields:
        return None
    if len(fields) == 1:
        name, check, in_envelope = fields[0]
        if in_envelope:
            return lambda touchpoint: check(getattr(touchpoint, name))
        return lambda touchpoint: check(touchpoint.payload.get(name))
    return lambda touchpoint: all(
        check(getattr(touchpoint, name) if in_envelope else touchpoint.payload.get(name))
        for name, check, in_envelope in fields
    )


def text(value: Any) -> str:
    """Return a value as facts show it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(wanted: Any) -> Check:
    # True equals 1 in Python, but not in a playbook.
    if isinstance(wanted, str):
        return lambda value: value == wanted
    is_bool = isinstance(wanted, bool)
    return lambda value: value == wanted and isinstance(value, bool) is is_bool


def _other(wanted: Any) -> Check:
    same = _same(wanted)
    return lambda value: not same(value)


def _among(wanted: tuple[Any, ...]) -> Check:
    known = frozenset((isinstance(each, bool), each) for each in wanted)
    return lambda value: (isinstance(value, bool), value) in known


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at_least(wanted: Any) -> Check:
    return lambda value: _is_number(value) and value >= wanted


def _at_most(wanted: Any) -> Check:
    return lambda value: _is_number(value) and value <= wanted


def _more_than(wanted: Any) -> Check:
    return lambda value: _is_number(value) and value > wanted


def _less_than(wanted: Any) -> Check:
    return lambda value: _is_number(value) and value < wanted


def _starting_with(wanted: Any) -> Check:
    return lambda value: isinstance(value, str) and value.startswith(wanted)


def _there(wanted: Any) -> Check:
    return lambda value: (value is not None) is wanted


_CHECKS: Mapping[str, Callable[[Any], Check]] = {
    "equals": _same,
    "not_equals": _other,
    "in_": _among,
    "at_least": _at_least,
    "at_most": _at_most,
    "more_than": _more_than,
    "less_than": _less_than,
    "starts_with": _starting_with,
    "exists": _there,
}
