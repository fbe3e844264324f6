"""Quiet hours: nothing goes out in them, by the person's clock, and what is late expires."""

import pytest
from journeys_people import DAY, MINUTE, Person, book, sop, step, when

NIGHT = when("2026-03-02 23:00")
QUIET = {"from": "22:00", "to": "08:00"}


@pytest.mark.parametrize(
    ("at", "requested"),
    [
        ("2026-03-02 21:59", "2026-03-02 21:59"),
        ("2026-03-02 22:00", "2026-03-03 08:00"),
        ("2026-03-03 07:59", "2026-03-03 08:00"),
        ("2026-03-03 08:00", "2026-03-03 08:00"),
    ],
)
def test_quiet_hours_defer_to_their_end(at: str, requested: str) -> None:
    """The first minute of quiet is quiet, its end is not; the fact says until when."""
    zone = "Asia/Shanghai"
    ann = Person(book(sop(step("hi")), quiet_hours=QUIET, timezone=zone), when(at, zone))
    ann.joins()
    ann.waits(DAY)
    assert ann.times == [when(requested, zone)]
    assert ann.actions[0].due_at == when(at, zone)
    deferred = [fact for fact in ann.facts if fact.kind == "action_deferred"]
    assert [fact.values["until"] for fact in deferred] == [
        str(t) for t in ann.times if at != requested
    ]


def test_quiet_hours_may_drop() -> None:
    """Where a message is worth nothing in the morning, the quiet drops it and says so."""
    ann = Person(book(sop(step("hi")), quiet_hours=QUIET | {"then": "drop"}), NIGHT)
    ann.joins()
    ann.waits(DAY)
    assert ann.actions == []
    assert ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "quiet_hours")]


def test_quiet_hours_of_an_sop_stand_in_for_those_of_the_playbook() -> None:
    """An SOP has hours of its own, or none; a lead for staff is no message."""
    own = sop(step("own"), name="own", quiet_hours={"from": "22:00", "to": "06:30"})
    free = sop(step("free"), name="free", at_any_hour=True)
    lead = sop(step("call", action={"family": "lead"}), name="lead")
    ann = Person(book(own, free, lead, quiet_hours=QUIET), NIGHT)
    ann.joins()
    assert sorted(ann.steps) == ["call", "free"]
    ann.waits(DAY)
    assert ann.times[-1] == when("2026-03-03 06:30")


@pytest.mark.parametrize(
    ("end", "start", "requested"),
    [
        ("02:30", "2026-10-25 01:00", ("2026-10-25 02:30", 0)),
        ("02:30", "2026-03-29 01:00", ("2026-03-29 03:00", 0)),
        ("03:30", "2026-10-25 02:15", ("2026-10-25 03:30", 0)),
    ],
)
def test_quiet_hours_end_where_clocks_change(
    end: str, start: str, requested: tuple[str, int]
) -> None:
    """The end comes once: at the first time it is shown, or at the change that skips it."""
    zone = "Europe/Berlin"
    quiet = {"from": "22:00", "to": end}
    ann = Person(book(sop(step("hi")), quiet_hours=quiet, timezone=zone), when(start, zone))
    ann.joins()
    ann.waits(DAY)
    assert ann.times == [when(requested[0], zone, fold=requested[1])]
    assert len(ann.told("action_deferred")) == 1


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    """At 2:15 of the second time the quiet until 2:30 is not over, and its next end is meant."""
    zone = "Europe/Berlin"
    at = when("2026-10-25 02:15", zone, fold=1)
    quiet = {"from": "22:00", "to": "02:30"}
    ann = Person(book(sop(step("hi")), quiet_hours=quiet, timezone=zone), at)
    ann.joins()
    ann.waits(DAY)
    assert ann.times == [at + 15 * MINUTE]


def test_what_is_deferred_is_still_left_on_an_exit() -> None:
    """A purchase in the night means no message in the morning."""
    ann = Person(book(sop(step("hi"), goal={"event": "order_paid"}), quiet_hours=QUIET), NIGHT)
    ann.joins()
    ann.pays()
    ann.waits(DAY)
    assert ann.actions == []


def test_an_action_that_would_come_too_late_is_dropped() -> None:
    """A deferral past the expiry is none: the fact says what held it back."""
    soon = step("hi", action={"expires_after": "2h"})
    ann = Person(book(sop(soon), quiet_hours=QUIET), NIGHT)
    ann.joins()
    ann.waits(DAY)
    assert ann.actions == []
    (fact,) = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert (fact.new, fact.values["held_back_by"]) == ("expired", "quiet_hours")


@pytest.mark.parametrize(("late", "sent"), [(120 * MINUTE - 1, ["hi"]), (120 * MINUTE, [])])
def test_an_action_is_worth_nothing_from_its_expiry_on(late: int, sent: list[str]) -> None:
    """Who came to the step too late by that much gets it no more; a millisecond before, still."""
    ann = Person(book(sop(step("hi", action={"expires_after": "2h"}, after="0s"))), NIGHT)
    ann.joins(ago=late)
    assert ann.steps == sent
    assert (
        ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "expired")][len(sent) :]
    )


def test_an_action_that_expires_with_the_quiet_is_dropped_in_the_night() -> None:
    """At its expiry an action is no longer to be performed, so it is not deferred to then."""
    soon = step("hi", action={"expires_after": "9h"})
    ann = Person(book(sop(soon), quiet_hours=QUIET), NIGHT)
    ann.joins()
    assert ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "expired")]
