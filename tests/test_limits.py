"""What holds an action back when it is due: consent, holdout, quiet hours, caps, priority."""

from typing import Any

import pytest
from journeys_people import DAY, HOUR, JOIN, MINUTE, Person, book, sop, step, when
from msgspec.structs import astuple

from processors.consents import MARKS_AT_MOST
from processors.holdout import held_out
from processors.limits import LEDGER_AT_MOST
from schemas.profile import Sent

NOON = when("2026-03-02 12:00")
NIGHT = when("2026-03-02 23:00")
QUIET = {"from": "22:00", "to": "08:00"}
SEND = {"purpose": "marketing", "channel": "wecom"}


def every(pause: str, times: int, **keys: Any) -> dict[str, Any]:
    """Return an SOP of a message again and again."""
    return sop(step("drip", delay=pause, then="drip"), max_visits=times, **keys)


@pytest.mark.parametrize(
    ("policy", "words", "allowed"),
    [
        ("opt_in", [], False),
        ("opt_out", [], True),
        ("opt_in", [("*", True)], True),
        ("opt_in", [("wecom", True)], True),
        ("opt_in", [("sms", True)], False),
        ("opt_out", [("*", False)], False),
        ("opt_out", [("sms", False)], True),
        ("opt_out", [("wecom", True), ("*", False)], False),
        ("opt_in", [("*", False), ("wecom", True)], True),
    ],
)
def test_consent_is_the_last_word_on_the_channel_or_on_all(
    policy: str, words: list[tuple[str, bool]], allowed: bool
) -> None:
    """The policy of the purpose decides until the person does; then the latest word."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": policy}), NOON)
    for channel, granted in words:
        ann.consents(granted, on=channel)
        ann.waits(1)
    ann.joins()
    assert bool(ann.actions) is allowed
    if not allowed:
        assert ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "consent")]


def test_of_two_words_of_the_same_instant_the_refusal_counts() -> None:
    """In doubt the answer is no."""
    for first, second in ((True, False), (False, True)):
        ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_in"}), NOON)
        ann.consents(first, on="*")
        ann.consents(second, on="wecom")
        ann.joins()
        assert ann.actions == []


@pytest.mark.parametrize("others", [True, False])
def test_a_refusal_that_is_no_longer_kept_never_turns_into_a_yes(others: bool) -> None:
    """Under opt-out too: once older words may be gone, the answer is no where there is none."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_out"}), NOON)
    ann.consents(granted=False)
    for number in range(MARKS_AT_MOST):
        ann.waits(1)
        ann.consents(others, purpose=f"p{number}")
    assert "marketing/*" not in ann.profile.consents
    ann.joins()
    assert ann.actions == []
    (fact,) = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert (fact.new, fact.values["words_at_most"]) == ("consent", "64")


def test_whoever_says_a_lot_is_still_heard() -> None:
    """With all words that a profile keeps, a grant that is newer than the oldest one counts."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_in"}), NOON)
    for number in range(MARKS_AT_MOST):
        ann.consents(granted=False, purpose=f"p{number}")
    ann.waits(1)
    ann.consents(granted=True)
    ann.joins()
    assert len(ann.actions) == 1


def test_of_too_many_words_of_one_instant_no_grant_counts() -> None:
    """A form with more answers than a profile keeps: one that is gone may have been a no."""
    playbook = book(sop(step("hi", action=SEND)), consent={"marketing": "opt_out"})
    for first in (True, False):
        ann = Person(playbook, NOON)
        for on, granted in (("wecom", first), ("*", not first)):
            ann.consents(granted, on=on)
        for number in range(MARKS_AT_MOST):
            ann.consents(granted=True, purpose=f"p{number}")
        ann.joins()
        assert ann.actions == []


def test_consent_is_asked_when_the_action_is_due_not_at_entry() -> None:
    """Who withdraws in between gets nothing, and who grants in between does."""
    playbook = book(sop(step("hi", after="2d", action=SEND)), consent={"marketing": "opt_in"})
    ann, bob = Person(playbook, NOON), Person(playbook, NOON, "bob")
    ann.consents(granted=True)
    for person in (ann, bob):
        person.joins()
        person.waits(DAY)
    ann.consents(granted=False)
    bob.consents(granted=True)
    for person in (ann, bob):
        person.waits(DAY)
    assert (ann.steps, bob.steps) == ([], ["hi"])
    (fact,) = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert (fact.rule, fact.values["granted"]) == ("consent.marketing", "false")


def test_the_held_out_go_through_their_journeys_and_get_nothing() -> None:
    """A journey of the holdout is entered and completed; each action states the holdout."""
    playbook = book(sop(step("a"), step("b")), holdout={"percent": 100, "salt": "s"})
    ann = Person(playbook, NOON)
    ann.joins()
    assert ann.actions == []
    assert [new for _, _, new in ann.told("action_suppressed")] == ["holdout", "holdout"]
    assert ann.told("journey_exited") == [("journey_exited", "tour", "completed")]


def test_the_holdout_is_a_stable_share_of_people() -> None:
    """Some 5 percent are held out; another salt draws others; a larger share keeps the smaller."""
    people = [f"user-{number}" for number in range(20_000)]
    five = {each for each in people if held_out(each, 500, "spring")}
    ten = {each for each in people if held_out(each, 1000, "spring")}
    other = {each for each in people if held_out(each, 500, "autumn")}
    assert 900 < len(five) < 1100
    assert five < ten
    assert len(five & other) < 100
    assert not any(held_out(each, 0, "spring") for each in people)
    assert all(held_out(each, 10_000, "spring") for each in people)


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
        ("02:30", "2026-03-29 01:00", ("2026-03-29 03:30", 0)),
        ("03:30", "2026-10-25 02:15", ("2026-10-25 03:30", 0)),
    ],
)
def test_quiet_hours_end_where_clocks_change(
    end: str, start: str, requested: tuple[str, int]
) -> None:
    """The end comes once, at the first time it is shown or by the length of the gap later."""
    zone = "Europe/Berlin"
    quiet = {"from": "22:00", "to": end}
    ann = Person(book(sop(step("hi")), quiet_hours=quiet, timezone=zone), when(start, zone))
    ann.joins()
    ann.waits(DAY)
    assert ann.times == [when(requested[0], zone, fold=requested[1])]


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    """At 2:15 of the second time the quiet until 2:30 is not over, and its next end is meant."""
    zone = "Europe/Berlin"
    at = when("2026-10-25 02:15", zone, fold=1)
    quiet = {"from": "22:00", "to": "02:30"}
    ann = Person(book(sop(step("hi")), quiet_hours=quiet, timezone=zone), at)
    ann.joins()
    ann.waits(DAY)
    assert ann.times == [at + 15 * MINUTE]


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


def test_an_action_that_expires_with_the_quiet_is_dropped_in_the_night() -> None:
    """At its expiry an action is no longer to be performed, so it is not deferred to then."""
    soon = step("hi", action={"expires_after": "9h"})
    ann = Person(book(sop(soon), quiet_hours=QUIET), NIGHT)
    ann.joins()
    assert ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "expired")]


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
