"""Standard operating procedures as operators write them."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date as Date  # noqa: N812 - `date` is a key of a step
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from schemas.playbook.base import (
    DAY,
    DURATION_PATTERN,
    Duration,
    EventKinds,
    Name,
    ShownAsOneOrMany,
    SomeTime,
    Spec,
    Title,
    Version,
    as_list,
    milliseconds,
    spell_duration,
)
from schemas.playbook.conditions import ConditionSpec, Where
from schemas.playbook.outreach import Family, QuietHoursSpec, TimeOfDay
from schemas.playbook.texts import Text
from schemas.rules import or_rather, shown

END = "end"
"""The target of ``then`` and ``else`` that completes the journey."""
ExitName = Literal["second_order", "no_order", "friend_removed", "refunded", "consent_withdrawn"]


def _pause(value: object) -> int | None:
    match value:
        case "never":
            return None
        case "after_exit":
            return 0
        case {"after": pause, **rest} if not rest:
            return milliseconds(pause)
    raise ValueError(f"{shown(value)} should be never, after_exit or {{after: 30d}}")


def _spell_pause(pause: int | None) -> str | dict[str, str]:
    if pause is None:
        return "never"
    return {"after": spell_duration(pause)} if pause else "after_exit"


class YearlySpec(Spec):
    """A day of every year, which an attribute names: ``MM-DD`` or ``YYYY-MM-DD``."""

    attribute: Annotated[str, Field(min_length=1, max_length=64)]


def _day(value: object) -> object:
    # Left to itself, pydantic would take a number for seconds since 1970, and name both choices.
    match value:
        case Date() | YearlySpec():
            return value
        case {"attribute": str(name), **rest} if 0 < len(name) <= 64 and not rest:  # noqa: PLR2004 - as above
            return YearlySpec(attribute=name)
        case str():
            with suppress(ValueError):
                return Date.fromisoformat(value)
    cure = "write 2026-12-18, or {attribute: birthday} for every year"
    raise ValueError(f"{shown(value)} is not a date: {cure}")


_SHOWN = {"type": "string", "pattern": DURATION_PATTERN}
Reentry = Annotated[
    int | None,
    BeforeValidator(_pause),
    PlainSerializer(_spell_pause, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["never", "after_exit"]},
                {"type": "object", "properties": {"after": _SHOWN}, "required": ["after"]},
            ]
        }
    ),
]
"""Milliseconds after the last journey ended; None for never."""


Word = Annotated[str, Field(max_length=64)]
"""A name that other systems know, such as a channel or a role; empty for none."""


class ActionSpec(Spec):
    """What a downstream service is asked to do; the family names the topic."""

    family: Family
    template: Title
    sender_role: Word = ""
    channel: Word = ""
    sender: Text = ""
    purpose: Word = ""
    needs_confirmation: bool = False
    expires_after: SomeTime | None = None
    params: dict[str, Text] = Field(default_factory=dict)


class EnterSpec(Spec):
    """What opens a journey: an event, or without one a condition at the moment it becomes true."""

    event: EventKinds | None = None
    where: Where = Field(default_factory=dict)
    when: Literal["always", "first_order"] = "always"
    condition: ConditionSpec | None = None

    @model_validator(mode="after")
    def _has_an_occasion(self) -> Self:
        if self.event is None and self.condition is None:
            raise ValueError("needs an `event`, or a `condition` that becomes true")
        if self.event is None and (self.where or self.when != "always"):
            raise ValueError("has `where` or `when` without `event`: say which event it is about")
        return self

    @property
    def asked(self) -> ConditionSpec | None:
        """What must hold beside the kind of the event, or become true without one."""
        if not self.where:
            return self.condition
        parts = (self.condition,) if self.condition else None
        return ConditionSpec.model_construct(event=self.event, where=self.where, all=parts)


class WaitSpec(Spec):
    """Waits ``for`` something until the timeout; then one of two ways on."""

    for_: Annotated[ConditionSpec, Field(alias="for")]
    timeout: Duration
    then: Name | None = None
    else_: Annotated[Name | None, Field(alias="else")] = None

    @model_validator(mode="after")
    def _gives_events_time(self) -> Self:
        if self.timeout == 0 and self.for_.asks_event():
            raise ValueError(
                "has an `event` in its `for`, and a timeout that leaves it no time to come: write "
                "timeout: 1d or more, or ask what was: count: {event: ..., at_least: 1}"
            )
        return self


class StepSpec(Spec):
    """An action or a wait, and when it is due.

    ``after`` counts from the entry event, ``delay`` from the step before, ``days`` in calendar
    days from the entry; ``date`` is absolute, or the next anniversary of an attribute's day.
    ``at`` moves the time on to that time of day.
    """

    name: Name
    after: Duration | None = None
    delay: Duration | None = None
    days: Annotated[int | None, Field(strict=True, ge=0, le=3_650)] = None
    date: Annotated[Date | YearlySpec, BeforeValidator(_day)] | None = None
    at: TimeOfDay | None = None
    only_if: ConditionSpec | None = None
    action: ActionSpec | None = None
    wait: WaitSpec | None = None
    then: Name | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        bases = [self.after, self.delay, self.days, self.date]
        timed = sum(base is not None for base in bases)
        if (self.action is None) == (self.wait is None):
            raise ValueError("needs exactly one of `action` and `wait`")
        if timed > 1:
            raise ValueError("has two times: keep one of after, delay, days and date")
        if (self.days is not None or self.date is not None) and self.at is None:
            raise ValueError('needs a time of day beside days or date: add at: "09:00"')
        if self.wait is not None and (timed or self.at is not None or self.only_if or self.then):
            raise ValueError(
                "is a wait, which starts at once and knows its own ways on: "
                "keep only `name` and `wait`, and put what else there is on another step"
            )
        if self.only_if is not None and self.only_if.asks_event():
            raise ValueError(
                "has an `event` in its `only_if`, which is asked when no event is at hand: write "
                "count: {event: ..., at_least: 1}, or wait for the event in a step before"
            )
        return self

    def ways(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield each explicit way on: its place in the step, and its target."""
        if self.then is not None:
            yield ("then",), self.then
        if self.wait is not None:
            for key, target in (("then", self.wait.then), ("else", self.wait.else_)):
                if target is not None:
                    yield ("wait", key), target


class BodySpec(Spec):
    """What happens inside a journey: the part of an SOP that has a version."""

    version: Version
    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1, max_length=100)]
    goal: ConditionSpec | None = None
    exit_on: tuple[ExitName, ...] = ()
    exit_if: dict[Name, ConditionSpec] = Field(default_factory=dict)
    max_visits: Annotated[int, Field(strict=True, ge=1, le=100)] = 10


class MigrateSpec(Spec):
    """Takes journeys of an old version to steps of the new one."""

    from_: Annotated[Version, Field(alias="from")]
    steps: dict[Name, Name]


class SopSpec(BodySpec):
    """A standard operating procedure."""

    name: Name
    enter: EnterSpec
    entry_age: Duration = 7 * DAY
    reentry: Reentry = None
    priority: Annotated[int, Field(strict=True, ge=-1000, le=1000)] = 0
    quiet_hours: QuietHoursSpec | None = None
    at_any_hour: bool = False
    previous: tuple[BodySpec, ...] = ()
    migrate: Annotated[tuple[MigrateSpec, ...], BeforeValidator(as_list), ShownAsOneOrMany] = ()

    @model_validator(mode="after")
    def _is_quiet_or_not(self) -> Self:
        if self.at_any_hour and self.quiet_hours is not None:
            raise ValueError("has quiet_hours and at_any_hour: keep one")
        return self


def sop_problems(
    sops: tuple[SopSpec, ...], purposes: dict[Any, Any]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield the place and cure of what is wrong between parts of SOPs that are each right."""
    for number, sop in enumerate(sops):
        place = ("sops", number)
        bodies: list[tuple[tuple[int | str, ...], BodySpec]] = [(place, sop)]
        bodies += [((*place, "previous", n), body) for n, body in enumerate(sop.previous)]
        for at, body in bodies:
            for inner, message in _body_problems(body, purposes):
                yield (*at, *inner), message
        yield from _version_problems(place, sop)


def _version_problems(
    place: tuple[int | str, ...], sop: SopSpec
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    taken = {sop.version}
    for number, body in enumerate(sop.previous):
        if body.version in taken or body.version > sop.version:
            cure = f"should be older than {sop.version} and not be there twice"
            yield (*place, "previous", number, "version"), cure
        taken.add(body.version)
    names = {step.name: None for step in sop.steps}
    for number, way in enumerate(sop.migrate):
        at = (*place, "migrate", number)
        if way.from_ in taken or way.from_ > sop.version:
            cure = "should be an older version, that is not kept in `previous`, once"
            yield (*at, "from"), cure
        taken.add(way.from_)
        for old, new in way.steps.items():
            if new not in names:
                yield (*at, "steps", old), f"{new!r} is not a step{or_rather(new, names)}"


def _body_problems(
    body: BodySpec, purposes: dict[Any, Any]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    names: dict[str, int] = {}
    for number, step in enumerate(body.steps):
        names.setdefault(step.name, number)
    for number, step in enumerate(body.steps):
        place = ("steps", number)
        if names[step.name] != number:
            yield (*place, "name"), f"{step.name!r} is taken by one above: choose another"
        if step.name == END:
            yield (*place, "name"), "'end' is where a journey completes: choose another"
        for inner, target in step.ways():
            if target not in names and target != END:
                cure = or_rather(target, {**names, END: 0})
                yield (*place, *inner), f"{target!r} is not a step{cure}"
        if step.action and step.action.purpose and step.action.purpose not in purposes:
            purpose = step.action.purpose
            cure = f"{purpose!r} has no policy: add `{purpose}: opt_in` to consent"
            yield (*place, "action", "purpose"), cure
        before = body.steps[number - 1] if number else step
        if None not in (step.after, before.after) and (step.after or 0) < (before.after or 0):
            cure = "is before the step above it: all steps count from the entry, so sort them"
            yield (*place, "after"), cure
    for number in _out_of_reach(body, names):
        yield ("steps", number), "is never reached: let a `then` or an `else` name it, or drop it"


def _out_of_reach(body: BodySpec, names: dict[str, int]) -> list[int]:
    """Return the positions that no journey comes to; none while a way is misspelled."""
    if any(target not in {*names, END} for step in body.steps for _, target in step.ways()):
        return []
    reached: set[int] = set()
    waiting = [0]
    while waiting:
        number = waiting.pop()
        if number in reached or number == len(body.steps):
            continue
        reached.add(number)
        step = body.steps[number]
        targets = [target for _, target in step.ways()]
        waiting += [names[target] for target in targets if target != END]
        if len(targets) < (2 if step.wait else 1):
            waiting.append(number + 1)
    return sorted(set(names.values()) - reached)
