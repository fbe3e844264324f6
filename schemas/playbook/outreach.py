"""The rules of reaching out that hold across all SOPs: hours, caps, consent, holdout."""

from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from schemas.playbook.base import Name, SomeTime, Spec, Title
from schemas.rules import shown
from schemas.timezones import zone_names

Family = Literal["message", "lead", "benefit", "tag_sync"]
Families = Annotated[tuple[Family, ...], Field(min_length=1)]


def _minute(value: object) -> int:
    if type(value) is int:
        raise ValueError(f'{value} is not a time of day: write "{_meant(value)}"')
    hour, colon, minute = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and len(hour) == len(minute) == 2 and (hour + minute).isdecimal()):  # noqa: PLR2004 - 09:30
        raise ValueError(f'{shown(value)} is not a time of day: write "09:30"')
    if int(hour) > 23 or int(minute) > 59:  # noqa: PLR2004 - the last minute of a day
        raise ValueError(f"{shown(value)} is not a time of day: it goes from 00:00 to 23:59")
    return int(hour) * 60 + int(minute)


def _meant(number: int) -> str:
    """Return the time that somebody meant who wrote 9, 930 or 1530; an example for others."""
    hour, minute = (number, 0) if number < 24 else divmod(number, 100)  # noqa: PLR2004 - an hour
    known = 0 <= hour < 24 and minute < 60  # noqa: PLR2004 - a time of day
    return f"{hour:02}:{minute:02}" if known else "09:30"


def _spell_minute(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _known_zone(name: str) -> str:
    names = zone_names()
    if name not in names:
        near = get_close_matches(name, names, n=1) or ["Asia/Shanghai"]
        raise ValueError(f"{name!r} is not a time zone: write an IANA name such as {near[0]}")
    return name


TimeOfDay = Annotated[
    int,
    BeforeValidator(_minute),
    PlainSerializer(_spell_minute, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
"""Minutes after midnight; written as ``"09:30"``."""
ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA name: ``Asia/Shanghai``."""


class QuietHoursSpec(Spec):
    """Local hours without actions of these families, ``from`` included, ``to`` not."""

    start: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="to")]
    then: Literal["defer", "drop"] = "defer"
    families: Families = ("message",)

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        if self.start == self.end:
            raise ValueError("lasts all day: give `from` and `to` two different times")
        return self


class CapSpec(Spec):
    """At most so many actions to a person, in a rolling time or in a calendar period.

    ``each`` counts apart for each channel, each sender, or each pair of both; ``channels``
    leaves the actions on other channels alone.
    """

    name: Name
    at_most: Annotated[int, Field(strict=True, ge=1, le=100)]
    within: SomeTime | None = None
    per: Literal["day", "week", "month"] | None = None
    each: tuple[Literal["channel", "sender"], ...] = ()
    channels: tuple[Title, ...] = ()
    families: Families = ("message",)
    then: Literal["drop", "defer"] = "drop"

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.within is None) == (self.per is None):
            raise ValueError(
                "needs exactly one of `within` (a rolling time such as 7d) and `per` "
                "(day, week or month by the person's calendar)"
            )
        return self


class HoldoutSpec(Spec):
    """The share of people who get no action, so that what the actions do can be measured."""

    percent: Annotated[float, Field(ge=0, le=100)]
    salt: Title

    @field_validator("percent")
    @classmethod
    def _can_be_drawn(cls, percent: float) -> float:
        if round(percent, 2) != percent:
            raise ValueError(f"{percent} is too fine: people are drawn by whole hundredths of 1 %")
        return percent


ConsentSpec = dict[Title, Literal["opt_in", "opt_out"]]
"""By purpose: whether silence means no (``opt_in``) or yes (``opt_out``)."""
