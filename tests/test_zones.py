"""Local time against a brute-force reading of the wall clock, minute by minute."""

from datetime import date, datetime, time, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys_people import DAY, MINUTE, when

from processors.limits import Quiet
from processors.zones import days_later, instant, next_time
from schemas.timezones import load_zone, zone_names

CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),  # midnight itself is skipped
    ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
    ("Asia/Shanghai", date(2026, 3, 29)),
    ("UTC", date(2026, 3, 29)),
]
THOROUGH = settings(max_examples=150, deadline=None, print_blob=True)
MINUTES = st.integers(0, 24 * 60 - 1)


@cache
def wall(zone: str, around: date) -> dict[int, datetime]:
    """Return what the wall clock shows at every minute of the days around a day."""
    start = when(str(around - timedelta(days=4)))
    tz = load_zone(zone)
    return {
        at: datetime.fromtimestamp(at / 1000, tz).replace(tzinfo=None)
        for at in range(start, start + 10 * DAY, MINUTE)
    }


def shown_at(zone: str, around: date, day: date, minute: int) -> int:
    """Return the first instant that shows the time; for one that is skipped, past it by the gap."""
    wanted = datetime.combine(day, time()) + timedelta(minutes=minute)
    clock = wall(zone, around)
    found = [at for at, shown in clock.items() if shown == wanted]
    if found:
        return found[0]
    last = max(at for at, shown in clock.items() if shown < wanted and clock[at + MINUTE] > wanted)
    return last + (wanted - clock[last]) // timedelta(milliseconds=1)


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=str)
@THOROUGH
@given(offset=st.integers(-1, 1), minute=MINUTES)
def test_a_local_time_is_the_instant_the_wall_clock_shows_it(
    zone: str, day: date, offset: int, minute: int
) -> None:
    """Every minute of the days around a change: the first of two, or past the gap."""
    local_day = day + timedelta(days=offset)
    want = shown_at(zone, day, local_day, minute)
    assert instant(local_day, minute, load_zone(zone)) == want


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=str)
@THOROUGH
@given(start=st.integers(0, 2 * 24 * 60), minute=MINUTES)
def test_the_next_time_is_the_first_that_is_not_before(
    zone: str, day: date, start: int, minute: int
) -> None:
    """Of the instants of that time on the days around, the earliest at or after the start."""
    at = when(str(day - timedelta(days=1))) + start * MINUTE
    days = [day + timedelta(days=offset) for offset in range(-2, 4)]
    tz = load_zone(zone)
    found = next_time(at, minute, tz)
    before = datetime.fromtimestamp(at / 1000, tz).date()
    candidates = [shown_at(zone, day, each, minute) for each in days if each >= before]
    assert found == min(each for each in candidates if each >= at)
    assert days_later(at, 0, minute, tz) == shown_at(zone, day, before, minute)


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=str)
@THOROUGH
@given(start=st.integers(0, 2 * 24 * 60), hours=st.tuples(MINUTES, MINUTES))
def test_the_quiet_is_over_where_it_says(
    zone: str, day: date, start: int, hours: tuple[int, int]
) -> None:
    """It is quiet while the wall clock is in the hours, and over at the first other minute."""
    first, end = hours[0], hours[1] if hours[0] != hours[1] else (hours[1] + 1) % (24 * 60)
    quiet = Quiet(first, end, defer=True, families=frozenset({"message"}), rule="quiet_hours")
    at = when(str(day - timedelta(days=1))) + start * MINUTE
    shown = wall(zone, day)[at]
    minute = shown.hour * 60 + shown.minute
    span = [(first + n) % (24 * 60) for n in range((end - first) % (24 * 60))]
    until = quiet.until(at, load_zone(zone))
    assert (until is not None) == (minute in set(span))
    if until is not None:
        while (shown := wall(zone, day)[at]).hour * 60 + shown.minute in set(span):
            at += MINUTE
        assert until == at


def test_zones_come_from_the_package_and_nothing_else_is_opened() -> None:
    """A name that is no zone opens no file, wherever it points."""
    assert {"Asia/Shanghai", "Europe/Berlin", "UTC"} <= zone_names()
    for name in ("", "../../../etc/passwd", "zone.tab", "/etc/localtime", "asia/shanghai"):
        with pytest.raises(KeyError):
            load_zone(name)


def test_every_zone_can_be_loaded() -> None:
    """Whatever zone a person names, its rules are in the package."""
    for name in zone_names():
        assert load_zone(name).key == name
