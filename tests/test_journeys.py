"""What opens a journey, what ends it, who may come again, and which version they go on with."""

from typing import Any

import pytest
from journeys_people import DAY, HOUR, JOIN, Person, book, sop, step, wait, when

from processors import partition
from processors.errors import StuckTimerError
from processors.fold import Outcome

NOON = when("2026-03-02 12:00")


def test_only_the_event_asked_for_opens_a_journey() -> None:
    """A filter on the event's fields lets one page in and leaves others out."""
    enter = {"event": "page_viewed", "where": {"page": {"starts_with": "/course/"}}}
    ann = Person(book(sop(step("hi"), enter=enter)), NOON)
    ann.does("page_viewed", page="/about", category="", duration_ms=0)
    assert ann.told("journey_entered") == []
    ann.does("page_viewed", page="/course/1", category="", duration_ms=0)
    assert ann.told("journey_entered") == [("journey_entered", "tour", "hi")]
    assert ann.steps == ["hi"]


def test_an_event_opens_a_journey_only_while_its_condition_holds() -> None:
    """A condition beside the event is asked with the event already in the profile."""
    enter = JOIN | {"condition": {"attribute": {"name": "city", "equals": "Xi'an"}}}
    ann = Person(book(sop(step("hi"), enter=enter)), NOON)
    ann.joins()
    ann.does("attribute_set", name="city", value="Xi'an")
    assert ann.steps == []
    ann.joins()
    assert ann.steps == ["hi"]


def test_a_condition_opens_a_journey_when_it_becomes_true() -> None:
    """Only the edge counts: staying true opens nothing again, falling and rising does."""
    enter = {"condition": {"attribute": {"name": "score", "at_least": 5}}}
    ann = Person(book(sop(step("hi"), enter=enter, reentry="after_exit")), NOON)
    for score in (3, 6, 7, 8, 2, 9):
        ann.waits(HOUR)
        ann.does("attribute_set", name="score", value=score)
    assert [action.entry_key for action in ann.actions] == ["e2", "e6"]


def test_an_sop_that_is_gone_leaves_nothing_behind_for_its_edge() -> None:
    """What is remembered of a condition goes with its SOP."""
    enter = {"condition": {"attribute": {"name": "score", "at_least": 5}}}
    with_it, without = book(sop(step("hi"), enter=enter)), book(version=2)
    ann = Person(with_it, NOON)
    ann.does("attribute_set", name="score", value=6)
    assert ann.profile.holding == ("tour",)
    ann.under(without).joins()
    assert ann.profile.holding == ()


def test_a_condition_on_the_event_at_hand_is_over_with_it() -> None:
    """Each event that satisfies it is an edge of its own, one right after the other too."""
    enter = {"condition": {"event": "message_received", "attribute": {"name": "vip"}}}
    ann = Person(book(sop(step("hi"), enter=enter, reentry="after_exit")), NOON)
    ann.does("attribute_set", name="vip", value=True)
    ann.does("message_received", intent="", length=1)
    ann.does("message_received", intent="", length=1)
    assert [action.entry_key for action in ann.actions] == ["e2", "e3"]


def test_silence_opens_a_journey_by_the_clock_alone() -> None:
    """Two weeks without a view open the journey, though nothing happens at all."""
    enter = {"condition": {"not_done": {"event": "page_viewed", "for": "14d"}}}
    ann = Person(book(sop(step("miss-you"), enter=enter)), NOON)
    ann.does("page_viewed", page="/", category="", duration_ms=0)
    ann.waits(14 * DAY)
    assert ann.steps == []
    ann.waits(1)
    assert (ann.steps, ann.times) == (["miss-you"], [NOON + 14 * DAY + 1])


EXITS = sop(
    step("later", after="9d", action={"purpose": "marketing", "channel": "wecom"}),
    goal={"event": "order_paid"},
    exit_on=["friend_removed", "refunded", "consent_withdrawn"],
    exit_if={"moved": {"attribute": {"name": "city", "equals": "Xi'an"}}},
)
POLICY = {"consent": {"marketing": "opt_out"}}


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        ("order_paid", {"order_id": "o", "amount_minor": 1, "currency": "CNY"}, "goal"),
        ("friend_removed", {"by_person": True}, "friend_removed"),
        ("order_refunded", {"order_id": "o", "amount_minor": 1, "currency": "CNY"}, "refunded"),
        (
            "consent_changed",
            {"purpose": "marketing", "on_channel": "*", "granted": False},
            "consent_withdrawn",
        ),
        ("attribute_set", {"name": "city", "value": "Xi'an"}, "moved"),
    ],
)
def test_a_journey_is_left_at_once(kind: str, payload: dict[str, object], reason: str) -> None:
    """Goal, removal, refund, withdrawal or a condition end the journey with the event itself."""
    ann = Person(book(EXITS, **POLICY), NOON)
    ann.joins()
    ann.does(kind, **payload)
    assert ann.told("journey_exited") == [("journey_exited", "tour", reason)]
    assert ann.facts[-1].cause_id == "e2"
    ann.waits(20 * DAY)
    assert ann.steps == []


def test_an_exit_that_a_new_playbook_brings_holds_for_who_is_inside() -> None:
    """The next step asks the exits in force, though no event came since."""
    ann = Person(book(sop(step("hi", after="1d"))), NOON)
    ann.does("attribute_set", name="city", value="Xi'an")
    ann.joins()
    moved = {"moved": {"attribute": {"name": "city", "equals": "Xi'an"}}}
    ann.under(book(sop(step("hi", after="1d"), exit_if=moved))).waits(2 * DAY)
    assert ann.steps == []
    assert ann.told("journey_exited") == [("journey_exited", "tour", "moved")]


def test_an_event_that_is_no_exit_leaves_the_journey_open() -> None:
    """Another purpose withdrawn, or a removal that a newer friendship overrules, end nothing."""
    ann = Person(book(EXITS, **POLICY), NOON)
    ann.joins()
    ann.consents(granted=False, purpose="service")
    ann.does("friend_added", staff="li", way="")
    ann.does("friend_removed", staff="li", by_person=True, ago=HOUR)
    assert ann.told("journey_exited") == []
    ann.waits(20 * DAY)
    assert ann.steps == ["later"]


@pytest.mark.parametrize(
    ("reentry", "reasons"),
    [
        ("never", ["already_entered", "already_entered"]),
        ("after_exit", []),
        ({"after": "30d"}, ["too_soon"]),
    ],
)
def test_who_was_there_comes_again_by_the_policy(reentry: object, reasons: list[str]) -> None:
    """Never, whenever the last journey is over, or only a time after that."""
    ann = Person(book(sop(step("hi"), reentry=reentry)), NOON)
    for pause in (0, 29 * DAY, DAY):
        ann.waits(pause)
        ann.joins()
    assert [new for _, _, new in ann.told("action_suppressed")] == reasons
    assert len(ann.actions) == 3 - len(reasons)
    assert len({action.action_id for action in ann.actions}) == len(ann.actions)


def test_an_event_opens_a_journey_once_however_late_it_comes_again() -> None:
    """A repeat that the window of recent events has forgotten does not enter a second time."""
    playbook = book(sop(step("hi"), reentry="after_exit"), dedupe_window=1)
    ann = Person(playbook, NOON)
    ann.joins()
    ann.does("message_received", intent="", length=1)
    ann.repeats("e1", "group_joined", way="")
    assert ann.steps == ["hi"]
    assert ann.told("action_suppressed") == [("action_suppressed", "tour", "already_entered")]


def test_an_event_that_ends_a_journey_and_opens_the_next_states_each_fact_once() -> None:
    """Both journeys meet the same wait at the same instant: two facts, of two ids."""
    ready = wait("ready", **{"for": {"attribute": {"name": "goal"}}, "timeout": "5d"})
    enter = {"event": ["group_joined", "attribute_set"]}
    ann = Person(book(sop(ready, enter=enter, reentry="after_exit")), NOON)
    ann.joins()
    ann.does("attribute_set", name="goal", value="law")
    ended = [fact for fact in ann.facts if fact.kind == "wait_ended"]
    assert [fact.values["entry_key"] for fact in ended] == ["e1", "e2"]
    assert len({fact.fact_id for fact in ann.facts}) == len(ann.facts)


def test_nobody_is_in_one_sop_twice_at_a_time() -> None:
    """While a journey is open, another entry states that it was not."""
    ann = Person(book(sop(step("hi", after="1d"), reentry="after_exit")), NOON)
    ann.joins()
    ann.joins()
    assert ann.told("action_suppressed") == [("action_suppressed", "tour", "already_entered")]


def test_a_cycle_is_bounded_and_each_round_has_its_own_id() -> None:
    """A step that comes again has its number in the id; too many visits end the journey."""
    tour = sop(step("drip", delay="1d", then="drip"), max_visits=3)
    ann = Person(book(tour), NOON)
    ann.joins()
    ann.waits(90 * DAY)
    assert ann.steps == ["drip", "drip#2", "drip#3"]
    assert len({action.action_id for action in ann.actions}) == 3
    assert ann.told("journey_exited") == [("journey_exited", "tour", "visits_exhausted")]


def test_a_cycle_without_any_delay_ends_all_the_same() -> None:
    """Steps that lead to each other at the same instant are bounded by their visits."""
    always = {"attribute": {"name": "nothing", "exists": False}}
    back = wait("back", **{"for": always, "timeout": "1d", "then": "hi"})
    ann = Person(book(sop(step("hi"), back)), NOON)
    ann.joins()
    assert len(ann.actions) == 10
    assert ann.profile.journeys["tour"].ended == "visits_exhausted"


def test_a_timer_that_does_not_move_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that leaves itself due stops the program instead of firing for ever."""
    ann = Person(book(sop(step("hi", after="1d"))), NOON)
    ann.joins()
    monkeypatch.setattr(partition, "fire", lambda profile, *_: Outcome(profile))
    with pytest.raises(StuckTimerError, match="tour/hi"):
        ann.waits(2 * DAY)


OLD = sop(step("one", after="1d"), step("two", after="2d"))
NEW = {"version": 2, "steps": [step("only", after="9d", action={"template": "new"})]}


def test_who_is_inside_goes_on_under_the_version_they_entered_with() -> None:
    """As long as the playbook carries the old steps, they are the ones that count."""
    kept = {"version": 1, "steps": OLD["steps"]}
    ann = Person(book(OLD), NOON)
    ann.joins()
    ann.waits(DAY)
    ann.under(book(OLD | NEW | {"previous": [kept]}, version=2)).waits(30 * DAY)
    assert [(action.step, action.sop_version) for action in ann.actions] == [("one", 1), ("two", 1)]
    bob = Person(book(OLD | NEW | {"previous": [kept]}, version=2), NOON, "bob")
    bob.joins()
    bob.waits(30 * DAY)
    assert [(action.step, action.sop_version) for action in bob.actions] == [("only", 2)]


def test_who_is_inside_moves_to_the_new_version_where_the_playbook_says_so() -> None:
    """An explicit migration takes the due step over, with its time, and states it."""
    ann = Person(book(OLD), NOON)
    ann.joins()
    moved = OLD | NEW | {"migrate": {"from": 1, "steps": {"one": "only"}}}
    ann.under(book(moved, version=2)).waits(30 * DAY)
    assert [(a.step, a.sop_version, a.template) for a in ann.actions] == [("only", 2, "new")]
    assert ann.times == [NOON + DAY]
    assert ann.told("journey_migrated") == [("journey_migrated", "tour", "2/only")]


def test_a_migration_may_lead_back_to_a_step_before_one_of_the_old_name() -> None:
    """The new version's step of the same name, due at the same instant, is another timer."""
    ann = Person(book(OLD), NOON)
    ann.joins()
    ann.waits(DAY)
    new = {"version": 2, "steps": [step("again"), step("two", after="1d")]}
    moved = OLD | new | {"migrate": {"from": 1, "steps": {"two": "again"}}}
    ann.under(book(moved, version=2)).waits(30 * DAY)
    steps = [(action.step, action.sop_version) for action in ann.actions]
    assert steps == [("one", 1), ("again", 2), ("two", 2)]
    assert ann.times == [NOON + DAY, NOON + 2 * DAY, NOON + 2 * DAY]


def test_who_is_inside_a_version_that_is_gone_leaves() -> None:
    """Without the old steps and without a migration the journey ends, and says why."""
    ann = Person(book(OLD), NOON)
    ann.joins()
    ann.under(book(OLD | NEW, version=2)).waits(30 * DAY)
    assert ann.told("journey_exited") == [("journey_exited", "tour", "version_gone")]
    assert ann.steps == []


def test_who_waits_for_a_step_that_was_taken_out_leaves() -> None:
    """Where steps change under one version, a journey whose step is not there any more ends."""
    ann = Person(book(OLD), NOON)
    ann.joins()
    ann.under(book(OLD | {"steps": [step("two", after="2d")]}, version=2)).waits(30 * DAY)
    assert ann.told("journey_exited") == [("journey_exited", "tour", "step_removed")]
    assert ann.facts[-1].rule == "sops.tour.steps"
    assert ann.steps == []


def test_a_condition_that_denies_an_event_opens_a_journey_at_any_timer() -> None:
    """At a timer no event is at hand: one that comes early for all else is early enough for it."""
    enter = {"condition": {"not": {"event": "group_joined"}}}
    engagement = {"engagement": {"silent_after": "10h", "lost_after": "20h"}}
    ann = Person(book(sop(step("hi"), enter=enter), stages=engagement), NOON)
    ann.joins()
    ann.waits(4 * HOUR)
    ann.joins()  # the timer stays where the first one put it
    assert ann.steps == []
    ann.until(NOON + 10 * HOUR + 1)
    assert ann.times == [NOON + 10 * HOUR + 1]
    assert ann.profile.machines["engagement"] == "active"


def test_history_opens_no_journey_by_a_condition_either() -> None:
    """Backfill that makes the condition true states so, and uses up the edge."""
    enter = {"condition": {"attribute": {"name": "score", "at_least": 5}}}
    ann = Person(book(sop(step("hi"), enter=enter)), NOON)
    ann.does("attribute_set", name="score", value=6, backfill=True)
    assert ann.told("action_suppressed") == [("action_suppressed", "tour", "backfill")]
    ann.waits(DAY)
    ann.does("attribute_set", name="score", value=7)
    assert ann.steps == []


@pytest.mark.parametrize(
    ("keys", "reason", "rule"),
    [
        ({}, "completed", "sops.tour.steps"),
        ({"goal": {"event": "order_paid"}}, "goal", "sops.tour.goal"),
        ({"exit_on": ["no_order", "second_order"]}, "second_order", "sops.tour.exit_on"),
        ({"max_visits": 1}, "visits_exhausted", "sops.tour.max_visits"),
    ],
)
def test_the_end_of_a_journey_names_the_key_that_ended_it(
    keys: dict[str, Any], reason: str, rule: str
) -> None:
    """Whoever asks why finds the place in the playbook, for an end by its last step too."""
    ways = {"then": "hi"} if "max_visits" in keys else {}
    ann = Person(book(sop(step("hi", delay="1d", **ways), **keys)), NOON)
    if "exit_on" in keys:
        ann.pays("o1")
    ann.joins()
    if keys.keys() & {"goal", "exit_on"}:
        ann.pays("o2")
    ann.waits(5 * DAY)
    (ended,) = [fact for fact in ann.facts if fact.kind == "journey_exited"]
    assert (ended.new, ended.rule) == (reason, rule)
