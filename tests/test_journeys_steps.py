"""The steps of a journey: when each is due by the person's clock, waits, guards and texts."""

import pytest
from journeys_people import DAY, HOUR, MINUTE, Person, book, sop, step, wait, when

NOON = when("2026-03-02 12:00")
MONDAY = "2026-03-02 "


def test_steps_count_from_the_entry_or_from_the_step_before() -> None:
    """``after`` is measured from the entry, ``delay`` from when the step before was over."""
    tour = sop(step("a", after="1h"), step("b", delay="30m"), step("c", after="3h"))
    ann = Person(book(tour), NOON)
    ann.joins()
    ann.waits(DAY)
    assert list(zip(ann.steps, ann.times, strict=True)) == [
        ("a", NOON + HOUR),
        ("b", NOON + HOUR + 30 * MINUTE),
        ("c", NOON + 3 * HOUR),
    ]


def test_a_step_waits_for_the_local_time_of_the_person() -> None:
    """Nine o'clock is that of the person's zone, the playbook's without one."""
    playbook = book(sop(step("morning", after="2h", at="09:00")), timezone="Asia/Shanghai")
    ann, bob = Person(playbook, NOON), Person(playbook, NOON, "bob")
    bob.lives_in("America/New_York")
    for person in (ann, bob):
        person.joins()
        person.waits(3 * DAY)
    assert ann.times == [when("2026-03-03 09:00", "Asia/Shanghai")]
    assert bob.times == [when(MONDAY + "09:00", "America/New_York")]


def test_an_unknown_zone_is_that_of_the_playbook() -> None:
    """A value that names no zone, or a path, is as good as none."""
    playbook = book(sop(step("morning", at="09:00")), timezone="Asia/Shanghai")
    for value in ("Mars/Olympus", "../../etc/passwd", 8, None, ""):
        ann = Person(playbook, NOON)
        ann.does("attribute_set", name="timezone", value=value)
        ann.joins()
        ann.waits(DAY)
        assert ann.times == [when("2026-03-03 09:00", "Asia/Shanghai")]


@pytest.mark.parametrize(
    ("zone", "day", "at", "due"),
    [
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T02:30:00+02:00"),
        ("America/New_York", "2026-03-08", "02:15", "2026-03-08T03:15:00-04:00"),
        ("America/New_York", "2026-11-01", "01:15", "2026-11-01T01:15:00-04:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:10", "2026-10-04T02:40:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"),
        ("Asia/Shanghai", "2026-03-29", "02:30", "2026-03-29T02:30:00+08:00"),
    ],
)
def test_local_times_are_right_where_clocks_change(zone: str, day: str, at: str, due: str) -> None:
    """A time that is skipped moves forward by the gap; of one that comes twice the first counts."""
    ann = Person(book(sop(step("night", date=day, at=at)), timezone=zone), when("2026-03-01 00:00"))
    ann.joins()
    ann.waits(400 * DAY)
    assert ann.times == [when(due[:-6], "UTC") - _offset(due[-6:])]


def _offset(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    return sign * (int(text[1:3]) * HOUR + int(text[4:6]) * MINUTE)


def test_calendar_days_count_from_the_local_day_of_entry() -> None:
    """Day 1 at nine is tomorrow morning, however late today it is."""
    playbook = book(sop(step("next", days=1, at="09:00")), timezone="Asia/Shanghai")
    ann = Person(playbook, when(MONDAY + "23:50", "Asia/Shanghai"))
    ann.joins()
    ann.waits(3 * DAY)
    assert ann.times == [when("2026-03-03 09:00", "Asia/Shanghai")]


def test_a_date_that_has_passed_is_skipped() -> None:
    """Nobody is reminded of a day that is over; the journey goes on with the next step."""
    tour = sop(step("exam", date="2026-01-10", at="09:00"), step("hi"))
    ann = Person(book(tour), NOON)
    ann.joins()
    assert ann.steps == ["hi"]
    assert ann.told("step_skipped") == [("step_skipped", "tour/exam", "date_passed")]
    bob = Person(book(tour), when("2026-01-10 09:00"), "bob")
    bob.joins()  # at that very instant: it is not over
    assert bob.steps == ["exam", "hi"]


def test_a_late_entry_is_requested_when_it_arrives_and_says_for_when_it_was() -> None:
    """A step whose time had passed at entry tells both times, due and requested."""
    ann = Person(book(sop(step("hi", after="1h"))), NOON)
    ann.joins(ago=5 * HOUR)
    (action,) = ann.actions
    assert (action.due_at, action.requested_at) == (NOON - 4 * HOUR, NOON)


REPLY = {"event": "message_received"}
TALK = sop(
    step("ask"),
    wait("reply", **{"for": REPLY, "timeout": "2d", "then": "thank", "else": "nudge"}),
    step("thank", then="end"),
    step("nudge", action={"template": "nudge"}),
)


def test_a_wait_ends_with_what_it_waits_for() -> None:
    """A reply within the time leads one way, and says which event it was."""
    ann = Person(book(TALK), NOON)
    ann.joins()
    ann.waits(DAY)
    ann.does("message_received", intent="", length=3)
    assert ann.steps == ["ask", "thank"]
    assert ann.told("wait_started", "wait_ended", "journey_exited") == [
        ("wait_started", "tour/reply", ""),
        ("wait_ended", "tour/reply", "met"),
        ("journey_exited", "tour", "completed"),
    ]
    assert [f.cause_id for f in ann.facts if f.kind == "wait_ended"] == ["e2"]


def test_a_wait_ends_with_its_time() -> None:
    """Silence leads the other way, at the very end of the timeout."""
    ann = Person(book(TALK), NOON)
    ann.joins()
    ann.waits(5 * DAY)
    assert ann.steps == ["ask", "nudge"]
    assert ann.times == [NOON, NOON + 2 * DAY]
    assert ("wait_ended", "tour/reply", "timeout") in ann.told("wait_ended")


def test_a_wait_for_a_state_that_is_there_already_is_no_wait() -> None:
    """A condition that holds at the arrival lets the journey through at once."""
    bought = {"segment": ["general_develop", "important_develop"]}
    tour = sop(wait("buyer", **{"for": bought, "timeout": "9d", "else": "end"}), step("hi"))
    ann = Person(book(tour), NOON)
    ann.pays(amount=50)
    ann.joins()
    assert ann.steps == ["hi"]


def test_a_wait_without_time_is_a_branch() -> None:
    """A timeout of 0 asks once and goes on either way."""
    rich = {"attribute": {"name": "vip", "equals": True}}
    fork = wait("vip", **{"for": rich, "timeout": "0s", "then": "gift", "else": "hi"})
    playbook = book(sop(fork, step("gift", then="end"), step("hi")))
    ann, bob = Person(playbook, NOON), Person(playbook, NOON, "bob")
    bob.does("attribute_set", name="vip", value=True)
    ann.joins()
    bob.joins()
    assert (ann.steps, bob.steps) == (["hi"], ["gift"])


def test_a_wait_can_be_met_by_the_clock() -> None:
    """A condition that time makes true ends the wait at that moment, not at the timeout."""
    quiet = {"not_done": {"event": "page_viewed", "for": "3d"}}
    ann = Person(book(sop(wait("calm", **{"for": quiet, "timeout": "9d"}), step("hi"))), NOON)
    ann.does("page_viewed", page="/", category="", duration_ms=0)
    ann.joins()
    ann.waits(20 * DAY)
    assert ann.times == [NOON + 3 * DAY + 1]


def test_a_guard_that_does_not_hold_skips_the_step() -> None:
    """The condition is asked when the step is due; the fact has the value that decided."""
    guard = {"attribute": {"name": "city", "equals": "Xi'an"}}
    ann = Person(book(sop(step("local", after="1h", only_if=guard), step("all"))), NOON)
    ann.joins()
    ann.does("attribute_set", name="city", value="Beijing")
    ann.waits(DAY)
    assert ann.steps == ["all"]
    (skipped,) = [fact for fact in ann.facts if fact.kind == "step_skipped"]
    assert (skipped.subject, skipped.new) == ("tour/local", "guard")
    assert "Beijing" in skipped.values.values()


def test_texts_are_filled_from_the_profile() -> None:
    """Parameters and sender take attributes, stage and friend; what is missing has its default."""
    params = {
        "greeting": "Dear {attribute.name|friend}, {{welcome}}",
        "school": "{attribute.school|yours}",
        "facts": "{stage.aipl} {frequency} {tag.none|-} {segment|none}",
        "plain": "as it is",
    }
    ann = Person(book(sop(step("hi", action={"sender": "{friend}", "params": params}))), NOON)
    ann.does("attribute_set", name="name", value="Ann {attribute.school}")
    ann.does("friend_added", staff="li", way="")
    ann.waits(1)
    ann.does("friend_added", staff="wang", way="")
    ann.joins()
    (action,) = ann.actions
    assert action.sender == "wang"
    assert action.params == {
        "greeting": "Dear Ann {attribute.school}, {welcome}",
        "school": "yours",
        "facts": "interest 0 - none",
        "plain": "as it is",
    }
