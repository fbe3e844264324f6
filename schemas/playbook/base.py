"""What the parts of a playbook are made of: names, durations, kinds of events."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from schemas.rules import or_rather, payload_rules

DAY = 86_400_000
_UNITS = {"d": DAY, "h": 3_600_000, "m": 60_000, "s": 1_000}
_DURATION = re.compile(r"(\d{1,6})([dhms])")


def milliseconds(value: object) -> int:
    """Read a duration: a number and a unit."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write 30d, 12h, 45m or 90s")
    return int(match[1]) * _UNITS[match[2]]


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


class _ShownAsOneOrMany:
    """Lets an editor accept a single item where a list is meant."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        items = handler(schema)
        return {"anyOf": [items["items"], items]}


Duration = Annotated[
    int,
    BeforeValidator(milliseconds),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
"""Milliseconds; written as a number and a unit."""
EventKind = Annotated[str, AfterValidator(_known_event), _ShownAsKind]
EventKinds = Annotated[
    tuple[EventKind, ...], BeforeValidator(as_list), Field(min_length=1), _ShownAsOneOrMany
]
"""Kinds of events; a single one may be written without the brackets."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""Lower case words joined by hyphens: it becomes part of ids, topics and rules."""
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    BeforeValidator(as_list),
    Field(min_length=1),
    _ShownAsOneOrMany,
]
"""Names of something declared elsewhere; a single one may be written without the brackets."""
Title = Annotated[str, Field(min_length=1, max_length=64)]
Version = Annotated[int, Field(strict=True, ge=1, lt=2**31)]
Count = Annotated[int, Field(strict=True, ge=1)]
Minor = Annotated[int, Field(strict=True, ge=0)]


class Spec(BaseModel):
    """A mapping of the playbook: unknown keys are errors, and it cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
