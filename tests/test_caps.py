"""Frequency caps and the ledger they count by, priority, and what becomes of the deferred."""

from typing import Any

import pytest
from journeys_people import DAY, HOUR, JOIN, Person, book, sop, step, when
from msgspec.structs import astuple

from processors.limits import LEDGER_AT_MOST
from schemas.profile import Sent

NOON = when("2026-03-02 12:00")
NIGHT = when("2026-03-02 23:00")
QUIET = {"from": "22:00", "to": "08:00"}
SEND = {"purpose": "marketing", "channel": "wecom"}


def every(pause: str, times: int, **keys: Any) -> dict[str, Any]:
    """Return an SOP of a message again and again."""
    return sop(step("drip", delay=pause, then="drip"), max_visits=times, **keys)


def test_a_rolling_cap_leaves_room_for_so_many() -> None:
    """Two in any seven days; the third is dropped, with the cap and the time of the next room."""
    cap = {"name": "week", "at_most": 2, "within": "7d"}
    ann = Person(book(every("1d", 9), caps=[cap]), NOON)
    ann.joins()
    ann.waits(30 * DAY)
    assert [(at - NOON) // DAY for at in ann.times] == [1, 2, 8, 9]
    dropped = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert {(fact.new, fact.rule) for fact in dropped} == {("cap", "caps.week")}
    assert dropped[0].values["room_at"] == str(NOON + 8 * DAY)


@pytest.mark.parametrize(("pause", "sent"), [(7 * DAY - 1, 1), (7 * DAY, 2)])
def test_a_rolling_time_is_over_to_the_millisecond(pause: int, sent: int) -> None:
    """In less than seven days there is one; at seven days the first no longer counts."""
    cap = {"name": "week", "at_most": 1, "within": "7d"}
    ann = Person(book(sop(step("hi"), reentry="after_exit"), caps=[cap]), NOON)
    ann.joins()
    ann.waits(pause)
    ann.joins()
    assert len(ann.actions) == sent


def test_a_cap_may_defer_until_there_is_room() -> None:
    """Nothing is lost, but it comes when the oldest one no longer counts."""
    cap = {"name": "week", "at_most": 1, "within": "7d", "then": "defer"}
    one, two = sop(step("a")), sop(step("b"), name="other")
    ann = Person(book(one, two, caps=[cap]), NOON)
    ann.joins()
    ann.waits(30 * DAY)
    assert [(at - NOON) // DAY for at in ann.times] == [0, 7]
    assert ann.told("action_deferred") == [("action_deferred", "tour/a", "cap")]


def test_a_cap_that_was_made_tighter_waits_for_the_latest_it_counts() -> None:
    """Of three that are within the time one must be left: so two have to be over, not the first."""
    cap = {"name": "week", "within": "7d", "then": "defer"}
    tour = every("1d", 4)
    ann = Person(book(tour, caps=[cap | {"at_most": 3}]), NOON)
    ann.joins()
    ann.waits(3 * DAY + HOUR)
    ann.under(book(tour, caps=[cap | {"at_most": 2}], version=2)).waits(30 * DAY)
    assert [(at - NOON) // DAY for at in ann.times] == [1, 2, 3, 9]
    assert len(ann.told("action_deferred")) == 1


def test_a_day_of_twenty_five_hours_is_one_day() -> None:
    """Where clocks go back, what was sent at its begin counts to its end."""
    caps = [
        {"name": "messages", "at_most": 1, "per": "day"},
        {"name": "leads", "at_most": 9, "per": "day", "families": ["lead"]},
    ]
    tour = sop(
        step("first"),
        step("between", {"family": "lead"}, after="1450m"),
        step("second", after="1480m"),
    )
    begin = when("2026-10-25 00:10", "Europe/Berlin")
    ann = Person(book(tour, caps=caps, timezone="Europe/Berlin"), begin)
    ann.joins()
    ann.until(when("2026-10-25 23:59", "Europe/Berlin"))
    assert ann.steps == ["first", "between"]
    assert ann.told("action_suppressed") == [("action_suppressed", "tour/second", "cap")]


def test_a_log_whose_clock_is_set_back_over_midnight_gives_no_room() -> None:
    """What was sent tomorrow, by the clock of today, has taken today's room."""
    cap = {"name": "one", "at_most": 1, "per": "day"}
    other = sop(step("x"), name="other", enter={"event": "group_left"})
    ann = Person(book(sop(step("hi")), other, caps=[cap]), when("2026-03-03 00:00"))
    ann.joins()
    ann.now -= HOUR
    ann.does("group_left", way="")
    assert ann.steps == ["hi"]
    assert ann.told("action_suppressed") == [("action_suppressed", "other/x", "cap")]


def test_the_calendar_day_is_that_of_the_person() -> None:
    """WeCom's one mass message per customer per day starts again at their midnight."""
    cap = {"name": "mass", "at_most": 1, "per": "day", "channels": ["wecom"], "then": "defer"}
    sops = [sop(step("x", action={"channel": "wecom"}), name=name) for name in ("a", "b", "c")]
    ann = Person(book(*sops, caps=[cap], timezone="Asia/Shanghai"), NOON)
    ann.joins()
    ann.waits(9 * DAY)
    midnights = [when(f"2026-03-0{day} 00:00", "Asia/Shanghai") for day in (3, 4)]
    assert ann.times == [NOON, *midnights]


@pytest.mark.parametrize(
    ("per", "next_at"), [("day", "2026-04-30"), ("week", "2026-05-04"), ("month", "2026-05-01")]
)
def test_a_calendar_cap_starts_again_with_the_next_period(per: str, next_at: str) -> None:
    """Days, weeks from Monday, and months of whatever length."""
    cap = {"name": "c", "at_most": 1, "per": per, "then": "defer"}
    sops = [sop(step("x"), name=name) for name in ("a", "b")]
    ann = Person(book(*sops, caps=[cap]), when("2026-04-29 12:00"))
    ann.joins()
    ann.waits(40 * DAY)
    assert ann.times[1] == when(next_at + " 00:00")


def test_caps_count_apart_for_each_channel_and_sender() -> None:
    """One a day from each sender: two staff members may both write."""
    cap = {"name": "each", "at_most": 1, "per": "day", "each": ["channel", "sender"]}
    senders = [("li", "wecom"), ("wang", "wecom"), ("li", "sms"), ("li", "wecom")]
    sops = [
        sop(step("x", action={"sender": who, "channel": way}), name=f"s{number}")
        for number, (who, way) in enumerate(senders)
    ]
    ann = Person(book(*sops, caps=[cap]), NOON)
    ann.joins()
    assert [action.sop for action in ann.actions] == ["s0", "s1", "s2"]


def test_a_cap_on_messages_leaves_leads_alone() -> None:
    """What is no message takes no room and needs none, unless the cap says so."""
    cap = {"name": "one", "at_most": 1, "within": "1d"}
    sops = [
        sop(step("x", action={"family": family}), name=family) for family in ("lead", "message")
    ]
    ann = Person(book(*sops, caps=[cap]), NOON)
    ann.joins()
    assert {action.family for action in ann.actions} == {"lead", "message"}


def test_the_sop_of_the_highest_priority_has_the_last_room() -> None:
    """Of two that are due at once the more important one goes, whatever their names."""
    cap = {"name": "one", "at_most": 1, "within": "1d"}
    low, high = sop(step("x"), name="a-low"), sop(step("x"), name="z-high", priority=5)
    ann = Person(book(low, high, caps=[cap]), NOON)
    ann.joins()
    assert [action.sop for action in ann.actions] == ["z-high"]
    assert ann.told("action_suppressed") == [("action_suppressed", "a-low/x", "cap")]


def test_the_deferred_go_by_priority_too() -> None:
    """In the morning after the quiet, the room goes to the more important one."""
    cap = {"name": "one", "at_most": 1, "per": "day"}
    low = sop(step("x"), name="a-low")
    high = sop(step("x", after="1h"), name="z-high", priority=5)
    ann = Person(book(low, high, caps=[cap], quiet_hours=QUIET), NIGHT)
    ann.joins()
    ann.waits(DAY)
    assert [action.sop for action in ann.actions] == ["z-high"]


def test_an_action_says_how_it_is_to_be_performed() -> None:
    """Way, sender, role, confirmation and expiry go with the action, from the playbook."""
    action = SEND | {
        "sender_role": "exclusive_consultant",
        "sender": "li",
        "needs_confirmation": True,
        "expires_after": "3d",
    }
    ann = Person(book(sop(step("hi", action=action)), consent={"marketing": "opt_out"}), NOON)
    ann.joins()
    (sent,) = ann.actions
    assert (sent.channel, sent.sender, sent.sender_role) == ("wecom", "li", "exclusive_consultant")
    assert (sent.purpose, sent.needs_confirmation) == ("marketing", True)
    assert (sent.requested_at, sent.expires_at) == (NOON, NOON + 3 * DAY)


def test_the_ledger_is_bounded_by_what_caps_still_count() -> None:
    """Years of messages leave no more in the profile than the caps need."""
    cap = {"name": "week", "at_most": 3, "within": "7d"}
    tour = every("12h", 100, reentry="after_exit")
    ann = Person(book(tour, caps=[cap]), NOON)
    for _ in range(20):
        ann.joins()
        ann.waits(60 * DAY)
        assert len(ann.profile.sent) <= 3
    assert len(ann.actions) > 400


def test_a_full_ledger_lets_nothing_pass() -> None:
    """Should more keys be counted than can be kept, no limit is guessed."""
    cap = {"name": "each", "at_most": 1, "within": "7d", "each": ["sender"]}
    tour = sop(step("hi", action={"sender": "{attribute.staff}"}), reentry="after_exit")
    ann = Person(book(tour, caps=[cap]), NOON)
    for number in range(LEDGER_AT_MOST + 5):
        ann.waits(1)
        ann.does("attribute_set", name="staff", value=f"s{number}")
        ann.joins()
    assert len(ann.profile.sent) == len(ann.actions) == LEDGER_AT_MOST
    assert ann.told("action_suppressed")[-1] == ("action_suppressed", "tour/hi", "ledger_full")


def test_the_ledger_says_what_was_requested() -> None:
    """Each entry is a request: its time, family, channel and sender."""
    cap = {"name": "week", "at_most": 3, "within": "7d"}
    ann = Person(book(sop(step("hi", action={"channel": "sms"})), caps=[cap]), NOON)
    ann.waits(HOUR)
    ann.joins()
    assert [astuple(each) for each in ann.profile.sent] == [
        astuple(Sent(NOON + HOUR, "message", "sms", ""))
    ]


def test_without_caps_there_is_no_ledger() -> None:
    """A playbook without caps keeps no list of what was requested."""
    ann = Person(book(sop(step("hi"), enter=JOIN)), NOON)
    ann.joins()
    assert ann.profile.sent == ()
