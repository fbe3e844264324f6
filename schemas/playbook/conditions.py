"""The condition language: one small mapping, used by tags, stages and SOPs alike.

All keys of a mapping must hold. What a condition may read is what the profile keeps: the event at
hand, attributes, tags, stages, the segment, friends, and windows over past events.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from schemas.playbook.base import (
    DAY,
    Duration,
    EventKinds,
    ShownAsOneOrMany,
    ShownWith,
    Spec,
    as_list,
)
from schemas.rules import shown
from schemas.segments import SEGMENTS

COUNTED_AT_MOST = 100
"""The highest count that a condition can ask for: the times of so many events are kept."""
_SUMMED_AT_MOST = 800  # days: so many buckets are kept


def _scalar(value: Any) -> Any:
    if type(value) not in {bool, int, float, str}:
        raise ValueError(f"{shown(value)} should be a text, a number, true or false: quote a date")
    return value


def _number(value: Any) -> Any:
    if type(value) not in {int, float}:
        raise ValueError(f"{shown(value)} should be a number")
    return value


def _summable(span: int) -> int:
    if span > _SUMMED_AT_MOST * DAY:
        raise ValueError(
            f"is longer than {_SUMMED_AT_MOST}d: shorten it, or leave it out to sum up everything"
        )
    return span


def _bare_value(value: Any) -> Any:
    if isinstance(value, list):
        inside = ", ".join(map(str, value))
        raise ValueError(f"is a list: write {{in: [{inside}]}} for any one of them")  # noqa: TRY004 - pydantic takes ValueError
    return value if isinstance(value, dict) else {"equals": value}


def _bare_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


_SCALAR = {"type": ["string", "number", "boolean"]}
Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema(_SCALAR)]
Number = Annotated[Any, AfterValidator(_number), WithJsonSchema({"type": "number"})]
Word = Annotated[str, Field(min_length=1, max_length=256)]
_SEGMENT = {"type": "string", "enum": [segment.name for segment in SEGMENTS.values()]}
Segments = Annotated[
    tuple[Annotated[str, WithJsonSchema(_SEGMENT)], ...],
    BeforeValidator(as_list),
    Field(min_length=1),
    ShownAsOneOrMany,
]


class CheckSpec(Spec):
    """A check of one value; all keys must hold."""

    equals: Scalar = None
    not_equals: Scalar = None
    in_: Annotated[tuple[Scalar, ...] | None, Field(alias="in", min_length=1)] = None
    at_least: Number = None
    at_most: Number = None
    more_than: Number = None
    less_than: Number = None
    starts_with: Word | None = None
    exists: bool | None = None


class ValueCheckSpec(CheckSpec):
    """A check of a field's value; a bare value stands for ``equals``."""

    @model_validator(mode="after")
    def _checks_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("checks nothing: write a value, or one of equals, in, at_least, ...")
        return self


Where = dict[Word, Annotated[ValueCheckSpec, BeforeValidator(_bare_value), ShownWith(_SCALAR)]]
"""Checks by the field of the payload or of the envelope; all must hold."""


class AttributeSpec(CheckSpec):
    """A check of an attribute; without one, it must be there."""

    name: Word


class TagCheckSpec(CheckSpec):
    """A tag that the person has; its value may be checked. A bare name is enough."""

    name: Word


class StageSpec(Spec):
    """The state of a stage machine."""

    machine: Word
    is_: Annotated[Word | None, Field(alias="is")] = None
    in_: Annotated[tuple[Word, ...] | None, Field(alias="in", min_length=1)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.is_ is None) == (self.in_ is None):
            raise ValueError("needs exactly one of `is` (one state) and `in` (a list of states)")
        return self

    @property
    def states(self) -> tuple[str, ...]:
        """The states that satisfy it."""
        return self.in_ or (self.is_ or "",)


class PastSpec(Spec):
    """Events of the past: their kinds, and checks of their fields."""

    event: EventKinds
    where: Where = Field(default_factory=dict)


class CountSpec(PastSpec):
    """How many events there were, ever or ``within`` a time that slides with the clock."""

    within: Duration | None = None
    at_least: Annotated[int | None, Field(strict=True, ge=1, le=COUNTED_AT_MOST)] = None
    at_most: Annotated[int | None, Field(strict=True, ge=0, lt=COUNTED_AT_MOST)] = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least, at_most or both")
        return self


class SumSpec(PastSpec):
    """The sum of an integer field over events, ever or ``within`` a sliding time."""

    field: Word
    within: Annotated[Duration, AfterValidator(_summable)] | None = None
    at_least: Annotated[int | None, Field(strict=True)] = None
    at_most: Annotated[int | None, Field(strict=True)] = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least, at_most or both")
        return self


class NotDoneSpec(PastSpec):
    """No such event for this long; counted from the first event of all if there was none."""

    for_: Annotated[Duration, Field(alias="for")]


class SequenceSpec(Spec):
    """One event, and another one after it ``within`` a time."""

    first: PastSpec
    then: PastSpec
    within: Duration


class ConditionSpec(Spec):
    """What must hold; all keys must."""

    event: EventKinds | None = None
    where: Where = Field(default_factory=dict)
    attribute: AttributeSpec | None = None
    tag: Annotated[
        TagCheckSpec | None, BeforeValidator(_bare_name), ShownWith({"type": "string"})
    ] = None
    stage: StageSpec | None = None
    segment: Segments | None = None
    friend: Literal["held", "lost"] | None = None
    count: CountSpec | None = None
    sum: SumSpec | None = None
    not_done: NotDoneSpec | None = None
    sequence: SequenceSpec | None = None
    all: Annotated[tuple["ConditionSpec", ...] | None, Field(min_length=1)] = None
    any: Annotated[tuple["ConditionSpec", ...] | None, Field(min_length=1)] = None
    not_: Annotated["ConditionSpec | None", Field(alias="not")] = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("asks nothing: write one of event, tag, count, all, ...")
        if self.where and self.event is None:
            raise ValueError("has `where` without `event`: say which kind of event it is about")
        return self

    @property
    def parts(self) -> tuple["ConditionSpec", ...]:
        """The conditions that it is made of."""
        return (*(self.all or ()), *(self.any or ()), *((self.not_,) if self.not_ else ()))

    def asks_event(self) -> bool:
        """Tell whether it looks at the event at hand, and so holds for that event only."""
        return self.event is not None or any_asks(self.parts)


def any_asks(conditions: tuple[ConditionSpec, ...]) -> bool:
    """Tell whether any of the conditions looks at the event at hand."""
    return any(condition.asks_event() for condition in conditions)
