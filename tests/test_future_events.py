"""Events dated ahead of the log: a day is put down to clocks, more becomes a dead letter."""

import pytest
from journeys_people import DAY, HOUR, Person, book, sop, step, when

from schemas.profile import dump

START = when("2026-03-02T09:00")
SILENT = {"condition": {"not_done": {"event": "page_viewed", "for": "3d"}}}
VIEW = {"page": "/", "category": "", "duration_ms": 0}
YEAR = 365 * DAY


def person() -> Person:
    """Return somebody who is called after three days of silence."""
    return Person(book(sop(step("call"), enter=SILENT)), START)


@pytest.mark.parametrize("ahead", [1, HOUR, DAY])
def test_up_to_a_day_ahead_is_applied(ahead: int) -> None:
    """A clock that is fast, or a local time that was taken for UTC."""
    ann = person()
    assert ann.does("page_viewed", ago=-ahead, **VIEW).rejected == []
    assert ann.profile.applied == 1


@pytest.mark.parametrize("ahead", [DAY + 1, 30 * DAY, 50 * YEAR])
def test_more_than_a_day_ahead_is_rejected_with_its_reason(ahead: int) -> None:
    """The dead letter says how far ahead it is, and what would be right."""
    ((_, reason, detail),) = person().does("page_viewed", ago=-ahead, **VIEW).rejected
    assert reason == "occurred_in_future"
    assert f"is {ahead // HOUR} hours after" in detail
    assert "milliseconds since 1970" in detail


def test_it_poisons_neither_windows_nor_recency_nor_timers() -> None:
    """With it and without it, the profile is the same and the call is made on the same day."""
    people = [person(), person()]
    for number, ann in enumerate(people):
        ann.pays()
        ann.does("page_viewed", **VIEW)
        if number:
            ann.does("page_viewed", ago=-9 * YEAR, **VIEW)
            ann.does("order_paid", ago=-9 * YEAR, order_id="o2", amount_minor=100, currency="CNY")
        ann.waits(100 * DAY)
    clean, poisoned = ([*dump({"ann": ann.profile})] for ann in people)
    assert clean == poisoned
    assert people[0].times == people[1].times == [START + 3 * DAY + 1]


def test_backfill_is_no_excuse() -> None:
    """What lies in the future is not history."""
    assert person().does("page_viewed", ago=-2 * DAY, backfill=True, **VIEW).rejected


def test_a_mended_event_of_the_same_id_counts() -> None:
    """The rejected one was never applied, so the mended one is no repeat."""
    ann = person()
    ann.does("page_viewed", ago=-2 * DAY, **VIEW)
    assert ann.repeats("e1", "page_viewed", **VIEW).rejected == []
    assert ann.profile.applied == 1
    assert ann.profile.duplicates == 0
