"""Local time: the person's zone, days and times of day, exact across changes of the clocks.

A local time that a change skips is taken with the offset before the change, so it moves forward by
the length of the gap; of one that comes twice the first is taken. These are the rules of RFC 5545,
section 3.3.5, and what ``zoneinfo`` does with ``fold=0``.
"""

import re
from calendar import isleap
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from schemas.profile import Profile
from schemas.timezones import load_zone, zone_names

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = re.compile(r"(?:[0-9]{4}-)?([0-9]{2})-([0-9]{2})")
_LEAP_YEAR = 2000
_QUARTER = 900_000
"""Milliseconds: every offset from UTC since 1972 is a multiple of it, so no day begins within.
Where a change of the clocks cuts one (St. John's, at 00:01, until 2011), its date is that of its
begin."""
_DAY_OF_UTC = 86_400_000
_KEPT = 4096
"""Results that are kept for each question: those asked lie close together in time."""


def zone_of(profile: Profile, default: str) -> ZoneInfo:
    """Return the zone that the attribute ``timezone`` names; the default if it names none."""
    mark = profile.attributes.get("timezone")
    if mark is not None and mark.value in zone_names():
        return load_zone(str(mark.value))
    return load_zone(default)


def local(at: int, zone: ZoneInfo) -> datetime:
    """Return an instant as the wall clock of the zone shows it."""
    return (_EPOCH + at * _MILLISECOND).astimezone(zone)


def date_of(at: int, zone: ZoneInfo) -> date:
    """Return the date of an instant in the zone."""
    return _date_of_quarter(at // _QUARTER, zone)


@lru_cache(maxsize=_KEPT)
def _date_of_quarter(quarter: int, zone: ZoneInfo) -> date:
    return local(quarter * _QUARTER, zone).date()


def minute_of_day(at: int, zone: ZoneInfo) -> int:
    """Return the minutes since midnight that the wall clock shows."""
    shown = local(at, zone)
    return shown.hour * 60 + shown.minute


@lru_cache(maxsize=_KEPT)
def instant(day: date, minute: int, zone: ZoneInfo, *, fold: int = 0) -> int:
    """Return the instant of a local day and minute; ``fold=1`` takes the second of two."""
    shown = datetime(
        day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone, fold=fold
    )
    return (shown - _EPOCH) // _MILLISECOND


def next_time(at: int, minute: int, zone: ZoneInfo) -> int:
    """Return the first instant at or after ``at`` that is this time of day."""
    day = date_of(at, zone)
    while (found := instant(day, minute, zone)) < at:
        day += timedelta(days=1)
    return found


def anniversary(day: object, minute: int, after: int, zone: ZoneInfo) -> int | None:
    """Return the first anniversary at this time of day, at or after an instant.

    29 February is 1 March in other years.

    Args:
        day: ``MM-DD`` or ``YYYY-MM-DD``; the year does not matter.
        minute: Minutes after midnight.
        after: The instant.
        zone: Whose days they are.

    Returns:
        None if ``day`` is no such text, or no day of the calendar.
    """
    match = _DAY.fullmatch(day) if isinstance(day, str) else None
    if match is None:
        return None
    month, number = int(match[1]), int(match[2])
    try:
        date(_LEAP_YEAR, month, number)
    except ValueError:
        return None
    year = local(after, zone).year
    dues = (instant(_in_year(each, month, number), minute, zone) for each in (year, year + 1))
    return next(due for due in dues if due >= after)


def _in_year(year: int, month: int, day: int) -> date:
    if (month, day) == (2, 29) and not isleap(year):
        return date(year, 3, 1)
    return date(year, month, day)


def days_later(at: int, days: int, minute: int, zone: ZoneInfo) -> int:
    """Return this time of day, so many calendar days after the local day of ``at``."""
    return _days_after_quarter(at // _QUARTER, days, minute, zone)


@lru_cache(maxsize=_KEPT)
def _days_after_quarter(quarter: int, days: int, minute: int, zone: ZoneInfo) -> int:
    return instant(_date_of_quarter(quarter, zone) + timedelta(days=days), minute, zone)


class Calendar:
    """The local days of a time zone, by their begin and end in milliseconds.

    Args:
        timezone: IANA name.
    """

    def __init__(self, timezone: str) -> None:
        self._zone = load_zone(timezone)
        self._days: dict[int, tuple[tuple[int, int], ...]] = {}

    def day(self, at: int) -> tuple[int, int]:
        """Return the begin and the end, exclusive, of the day of an instant."""
        days = self._days.get(at // _DAY_OF_UTC) or self._meeting(at // _DAY_OF_UTC)
        for day in days:
            if at < day[1]:
                return day
        return days[-1]

    def _meeting(self, number: int) -> tuple[tuple[int, int], ...]:
        """Work out the local days that a day of UTC, counted from 1970, meets; keep them."""
        first = date_of(number * _DAY_OF_UTC, self._zone)
        begins = [instant(first + timedelta(days=n), 0, self._zone) for n in range(4)]
        if len(self._days) >= _KEPT:
            self._days.clear()
        self._days[number] = days = tuple(pairwise(begins))
        return days
