"""What the parts of a playbook are made of: names, durations, kinds of events."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from schemas.rules import or_rather, payload_rules, shown

DAY = 86_400_000
UNITS: Mapping[str, int] = {"d": DAY, "h": 3_600_000, "m": 60_000, "s": 1_000}
_DURATION = re.compile(r"(\d{1,6})([dhms])")
DURATION_PATTERN = f"^{_DURATION.pattern}$"
NAME_PATTERN = "^[a-z0-9]+(-[a-z0-9]+)*$"


def milliseconds(value: object) -> int:
    """Read a duration: a number and a unit."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write 30d, 12h, 45m or 90s")
    return int(match[1]) * UNITS[match[2]]


def spell_duration(length: int) -> str:
    """Write milliseconds as playbooks do, in the longest unit that divides them."""
    unit = next(unit for unit, one in UNITS.items() if length % one == 0)
    return f"{length // UNITS[unit]}{unit}"


def _some_time(length: int) -> int:
    if length == 0:
        raise ValueError("is no time at all: write 1s or more, or leave it out")
    return length


def _is_name(value: str) -> str:
    if re.fullmatch(NAME_PATTERN, value):
        return value
    rather = "-".join(re.findall(r"[a-z0-9]+", value.lower())) or "names such as welcome-sop"
    raise ValueError(f"{shown(value)} is not lower case words joined by hyphens: write {rather}")


def _known_event(kind: str) -> str:
    kinds = payload_rules()
    if kind not in kinds:
        raise ValueError(f"{kind!r} is not a kind of event{or_rather(kind, kinds)}")
    return kind


def as_list(value: object) -> object:
    """Let a single item stand for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


class _ShownAsKind:
    """Lets an editor offer the kinds of events."""

    @staticmethod
    def __get_pydantic_json_schema__(
        _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(payload_rules())}


class ShownAsOneOrMany:
    """Lets an editor accept a single item where a list is meant."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        items = handler(schema)
        several = {"minItems" if key == "minLength" else key: items[key] for key in items}
        return {"anyOf": [items["items"], several]}


class ShownWith:
    """Lets an editor accept a short form beside the long one.

    Args:
        short: The JSON Schema of the short form.
    """

    def __init__(self, short: Mapping[str, Any]) -> None:
        self._short = dict(short)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the long form's schema with the short one before it."""
        known = handler(schema)
        return {"anyOf": [self._short, *known.get("anyOf", [known])]}


Duration = Annotated[
    int,
    BeforeValidator(milliseconds),
    PlainSerializer(spell_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
"""Milliseconds; written as a number and a unit."""
SomeTime = Annotated[Duration, AfterValidator(_some_time)]
"""A duration that is not zero."""
EventKind = Annotated[str, AfterValidator(_known_event), _ShownAsKind]
EventKinds = Annotated[
    tuple[EventKind, ...], BeforeValidator(as_list), Field(min_length=1), ShownAsOneOrMany
]
"""Kinds of events; a single one may be written without the brackets."""
Name = Annotated[
    str,
    Field(max_length=64, json_schema_extra={"pattern": NAME_PATTERN}),
    AfterValidator(_is_name),
]
"""Lower case words joined by hyphens: it becomes part of ids, topics and rules."""
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    BeforeValidator(as_list),
    Field(min_length=1),
    ShownAsOneOrMany,
]
"""Names of something declared elsewhere; a single one may be written without the brackets."""
Title = Annotated[str, Field(min_length=1, max_length=64)]
Version = Annotated[int, Field(strict=True, ge=1, lt=2**31)]
Count = Annotated[int, Field(strict=True, ge=1)]
Minor = Annotated[int, Field(strict=True, ge=0)]


class Spec(BaseModel):
    """A mapping of the playbook: unknown keys are errors, and it cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
