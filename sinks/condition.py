"""Conditions on touchpoints, in the words of the playbook's ``event`` and ``where``, as SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeAlias

from schemas.rules import envelope_rules, or_rather, payload_rules
from sinks.sql import Params

Scalar: TypeAlias = str | int | float | bool

_NUMBERS = {"at_least": ">=", "at_most": "<=", "more_than": ">", "less_than": "<"}
_WHOLE = "('Int64', 'UInt64')"
# Columns that hold a payload's field as it is, for the kinds that have the field.
_PROMOTED = {"amount_minor": "Int64", "currency": "String", "order_id": "String"}


@dataclass(frozen=True)
class Check:
    """What one field must hold; every part that is given must be so.

    A field that is not there passes ``exists=False`` and ``not_equals``, and nothing else. A number
    equals a number, never a text or a truth value.
    """

    equals: Scalar | None = None
    not_equals: Scalar | None = None
    among: tuple[Scalar, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None
    more_than: float | None = None
    less_than: float | None = None
    starts_with: str | None = None
    exists: bool | None = None

    @classmethod
    def parse(cls, written: Any) -> Self:
        """Read a bare value, or a mapping such as ``{at_least: 100}`` or ``{in: [a, b]}``.

        Raises:
            ValueError: it has a key that is not known, or a value of a wrong type.
        """
        parts = dict(written) if isinstance(written, Mapping) else {"equals": written}
        if "in" in parts:
            parts["among"] = tuple(parts.pop("in"))
        known = {field.name for field in fields(cls)}
        if unknown := parts.keys() - known:
            key = min(unknown)
            _check_spaced(key)
            raise ValueError(f"{key!r} is no comparison{or_rather(key, dict.fromkeys(known))}")
        for key, value in parts.items():
            fits = int | float if key in _NUMBERS else Scalar
            if key != "among" and (
                not isinstance(value, fits) or (key in _NUMBERS and value is True)
            ):
                raise ValueError(f"{key} takes no {type(value).__name__}: {value!r}")
        return cls(**parts)


@dataclass(frozen=True)
class Condition:
    """An event of one of ``kinds`` whose fields pass all checks.

    Fields are those of the touchpoint's envelope (``channel``, ``source``, ...) and of the payload.
    """

    kinds: tuple[str, ...]
    where: tuple[tuple[str, Check], ...] = ()

    def __post_init__(self) -> None:
        kinds = payload_rules()
        if not self.kinds:
            raise ValueError("a condition needs at least one kind of event")
        for kind in self.kinds:
            if kind not in kinds:
                raise ValueError(f"{kind!r} is not a kind of event{or_rather(kind, kinds)}")
            known = envelope_rules() | kinds[kind].fields
            for name, _ in self.where:
                if name not in known:
                    raise ValueError(f"{name!r} is not a field of {kind}{or_rather(name, known)}")

    @classmethod
    def of(cls, *kinds: str, **where: Any) -> Self:
        """Write a condition as the playbook does: ``of("order_paid", amount_minor={...})``."""
        for name in where:
            _check_spaced(name)
        return cls(kinds, tuple((name, Check.parse(value)) for name, value in where.items()))

    def sql(self, params: Params) -> str:
        """Return the condition on a row of ``touchpoints``, its values put into ``params``."""
        kinds = " OR ".join(f"kind = {params.text(kind)}" for kind in self.kinds)
        checks = [
            part for name, check in self.where for part in _checks(_Field.of(name), check, params)
        ]
        return " AND ".join(f"({part})" for part in (kinds, *checks))


def _check_spaced(key: str) -> None:
    if ":" in key:
        raise ValueError(f"{key!r} is one word: write a space after the colon")


def field_text(name: str) -> str:
    """Return the SQL of a field as text; empty where the event has none.

    Args:
        name: Of the envelope or of a payload.

    Raises:
        ValueError: no event has such a field.
    """
    payloads = payload_rules().values()
    if name not in envelope_rules() and not any(name in rules.fields for rules in payloads):
        raise ValueError(f"{name!r} is a field of no kind of event")
    field = _Field.of(name)
    whole = f"toString({field.whole})"
    raw = (
        "''"
        if name in envelope_rules() or name in _PROMOTED
        else f"JSONExtractRaw(payload, '{name}')"
    )
    truth = f"if({field.truth}, 'true', 'false')"
    return (
        f"multiIf({field.kind} = 'String', {field.text}, {field.kind} IN {_WHOLE}, {whole}, "
        f"{field.kind} = 'Bool', {truth}, {field.kind} = 'Null', '', {raw})"
    )


@dataclass(frozen=True)
class _Field:
    """The SQL that reads a field: its JSON type, and its value as a type."""

    kind: str
    text: str
    whole: str
    real: str
    truth: str

    @classmethod
    def of(cls, name: str) -> Self:
        match _PROMOTED.get(name) or ("" if name not in envelope_rules() else "String"):
            case "Int64":
                return cls("'Int64'", "''", name, f"toFloat64({name})", "false")
            case "String" if name == "backfill":
                return cls("'Bool'", "''", "0", "0.", name)
            case "String" if name == "occurred_at":
                whole = "toUnixTimestamp64Milli(occurred_at)"
                return cls("'Int64'", "''", whole, f"toFloat64({whole})", "false")
            case "String":
                return cls("'String'", name, "0", "0.", "false")
        path = f"payload, '{name}'"  # a name of the contract: checked by Condition
        return cls(
            f"toString(JSONType({path}))",
            f"JSONExtractString({path})",
            f"JSONExtractInt({path})",
            f"JSONExtractFloat({path})",
            f"JSONExtractBool({path})",
        )


def _checks(field: _Field, check: Check, params: Params) -> list[str]:
    parts = []
    if check.equals is not None:
        parts.append(_compared(field, "=", check.equals, params))
    if check.not_equals is not None:
        parts.append(f"NOT ({_compared(field, '=', check.not_equals, params)})")
    if check.among is not None:
        any_of = [_compared(field, "=", value, params) for value in check.among]
        parts.append(" OR ".join(f"({one})" for one in any_of) or "false")
    for name, sign in _NUMBERS.items():
        bound = getattr(check, name)
        if bound is not None:
            parts.append(_compared(field, sign, bound, params))
    if check.starts_with is not None:
        prefix = params.text(check.starts_with)
        parts.append(f"{field.kind} = 'String' AND startsWith({field.text}, {prefix})")
    if check.exists is not None:
        parts.append(f"{field.kind} {'!=' if check.exists else '='} 'Null'")
    return parts


def _compared(field: _Field, sign: str, value: Scalar, params: Params) -> str:
    match value:
        case bool():
            return f"{field.kind} = 'Bool' AND {field.truth} = {'true' if value else 'false'}"
        case str():
            return f"{field.kind} = 'String' AND {field.text} {sign} {params.text(value)}"
        case int():
            whole = f"{field.whole} {sign} {params.whole(value)}"
        case float():
            whole = f"toFloat64({field.whole}) {sign} {params.real(value)}"
    real = f"{field.real} {sign} {params.real(float(value))}"
    return f"multiIf({field.kind} IN {_WHOLE}, {whole}, {field.kind} = 'Double', {real}, false)"
