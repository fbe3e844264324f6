"""No history breaks a rule: random playbooks and lives, checked from the outside.

The histories mix every kind of event with repeats, disorder, refunds, words of consent, pauses and
changes of the clocks; the playbooks every rule with journeys of all shapes. The checks read the
log, the facts and the actions, and the rules as they were written. Where `CI` is set each property
sees 1,000 histories, else 300. A failure prints the blob that repeats it.

(b) cuts and restarts, (c) timers, (d) limits, (e) causes and (f) size are here; (a) order and
repetition, and the reference by brute force, are in ``test_histories_rules.py``.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest
from histories import lives, prolonged
from hypothesis import given
from hypothesis import strategies as st
from outreach_oracle import (
    allowed,
    fits,
    held_out,
    moments,
    noisy,
    shown,
    wanted_at,
    zone_in,
)
from strategies import DAY, EXHAUSTIVE, MINUTE, Log, cuts
from worlds import World, worlds

from processors.bounds import profile_bound
from processors.partition import Partition
from processors.playbook import Playbook
from processors.timers import TimerKind, next_due, timers
from schemas.profile import Profile, decode, dump, encode
from schemas.records import Action, Fact

# A thousand histories take 20 s of a core; on a crowded machine that may be minutes.
pytestmark = pytest.mark.timeout(1_200)
Run = tuple[dict[str, Profile], list[Fact], list[Action]]
SPAN = 20 * DAY


def run(playbook: Playbook, log: Log) -> Run:
    """Apply the log at once and let the clock run on."""
    partition = Partition(playbook, {})
    effects = [partition.apply(log), partition.advance(log[-1][1] + SPAN)]
    facts = [fact for each in effects for fact in each.facts]
    return partition.profiles, facts, [action for each in effects for action in each.actions]


def by_person(things: Iterable[Any]) -> dict[str, list[Any]]:
    """Group facts, actions or touchpoints by their person, in order."""
    ordered = sorted(things, key=lambda thing: thing.user_id)
    return {user: list(own) for user, own in groupby(ordered, key=lambda thing: thing.user_id)}


@EXHAUSTIVE
@given(world=worlds(), log=lives(), data=st.data())
def test_any_cut_and_restart_gives_the_same(world: World, log: Log, data: st.DataObject) -> None:
    """(b) Batches, idle moves of the clock and restarts change neither profiles, facts nor ids."""
    playbook = world.playbook
    partition = Partition(playbook, {})
    effects, start = [], 0
    for stop in [*data.draw(cuts(len(log))), len(log)]:
        effects.append(partition.apply(log[start:stop]))
        following = log[stop][1] if stop < len(log) else log[-1][1] + SPAN
        idle = data.draw(st.integers(partition.clock, max(partition.clock, following)))
        effects.append(partition.advance(idle if partition.clock else 0))
        clock = partition.clock
        kept = {user: decode(encode(profile)) for user, profile in partition.profiles.items()}
        partition = Partition(playbook, kept)
        partition.clock, start = clock, stop
    effects.append(partition.advance(log[-1][1] + SPAN))
    profiles, facts, actions = run(playbook, log)
    assert list(dump(partition.profiles)) == list(dump(profiles))
    assert by_person(f for each in effects for f in each.facts) == by_person(facts)
    assert by_person(a for each in effects for a in each.actions) == by_person(actions)


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_timers_are_conserved(world: World, log: Log) -> None:
    """(c) Scheduled is fired, cancelled or pending; nothing is early, late or lost."""
    rules, playbook = world.plain, world.playbook
    profiles, facts, _ = run(playbook, log)
    told = by_person(facts)
    now = log[-1][1] + SPAN
    for user_id, profile in profiles.items():
        pending = follow_timers(rules, log, told.get(user_id, []))
        left = timers(profile, playbook)
        assert pending == {t.sop: (t.step, t.due) for t in left if t.kind is TimerKind.STEP}
        assert all(due > now for _, due in pending.values())
        due = next_due(profile, playbook)
        assert due is None or due > now


def follow_timers(rules: dict[str, Any], log: Log, facts: list[Fact]) -> dict[str, tuple[str, int]]:
    """Follow one person's facts: each step is scheduled rightly, and fired on time or cancelled.

    Returns:
        Step and due time of the journeys that are still under way.
    """
    pending: dict[str, tuple[str, int]] = {}
    opened: dict[str, int] = {}
    for fact in facts:
        name, _, step = fact.subject.partition("/")
        due = int(fact.values.get("due_at", 0))
        match fact.kind:
            case "journey_entered":
                assert name not in pending
                pending[name] = (fact.new, due)
                opened[name] = opened_at(log, fact)
                check_due(rules, log, fact, fact.new, opened[name])
            case "step_scheduled" | "wait_started":
                assert pending.setdefault(name, (step, due)) == (step, due)
                check_due(rules, log, fact, step, opened[name])
            case "action_deferred":
                assert pending[name] == (step, fact.at)
                pending[name] = (step, int(fact.values["until"]))
                check_deferral(rules, log, fact, pending[name][1])
            case "action_requested" | "action_suppressed" if step:
                assert pending.pop(name) == (step, fact.at)
            case "step_skipped" if fact.new == "guard":
                assert pending.pop(name) == (step, fact.at)
            case "step_skipped":
                check_skip(rules, log, fact, opened[name])
                pending.pop(name, None)
            case "wait_ended":
                waited, until = pending.pop(name)
                assert waited == step
                assert fact.at == until if fact.new == "timeout" else fact.at <= until
            case "journey_exited":
                pending.pop(name, None)
    return pending


def opened_at(log: Log, fact: Fact) -> int:
    """Return the time that a journey counts from: of the event, or of the clock that opened it."""
    if fact.cause_kind != "event":
        return fact.at
    return next(
        each.occurred_at
        for each, _ in log
        if (each.user_id, each.event_id) == (fact.user_id, fact.cause_id)
    )


def check_due(rules: dict[str, Any], log: Log, fact: Fact, visit: str, opened: int) -> None:
    """The step is due when the playbook says, by the person's clock; if that is over, at once."""
    known = wanted(rules, log, fact, visit, opened)
    right = {max(fact.at, at) for each in known for at in each}
    if fact.kind == "journey_entered" and not all(known):
        right.add(fact.at)  # a step without a day: it is skipped at once
    assert int(fact.values["due_at"]) in right


def check_skip(rules: dict[str, Any], log: Log, fact: Fact, opened: int) -> None:
    """A step is skipped for its date only if that is over, or no day is known."""
    known = wanted(rules, log, fact, fact.subject.partition("/")[2], opened)
    if fact.new == "no_date":
        assert not all(known)
    else:
        assert any(at < fact.at for each in known for at in each)


def wanted(rules: dict[str, Any], log: Log, fact: Fact, visit: str, opened: int) -> list[set[int]]:
    """Return when the playbook wants a step: with the past before this instant, and up to it."""
    (sop,) = (each for each in rules["sops"] if each["name"] == fact.subject.partition("/")[0])
    (step,) = (each for each in sop["steps"] if each["name"] == visit.partition("#")[0])
    pasts = moments(log, fact.user_id, fact.at)
    return [wanted_at(step, opened, fact.at, past, rules["timezone"]) for past in pasts]


def check_deferral(rules: dict[str, Any], log: Log, fact: Fact, until: int) -> None:
    """It is put off to a later time; for quiet hours, to the first that is not quiet."""
    assert until > fact.at
    if fact.new == "quiet_hours":
        name = fact.subject.partition("/")[0]
        for past in moments(log, fact.user_id, fact.at)[1:]:
            zone = zone_in(past, rules["timezone"])
            quiet = range(fact.at, until, 15 * MINUTE)
            assert not any(noisy(rules, at, zone, name, "message") for at in (*quiet, until - 1))
            assert noisy(rules, until, zone, name, "message")
            assert shown(until, zone).strftime("%M") in {"00", "30", "45"}


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_no_action_is_ever_against_the_rules(world: World, log: Log) -> None:
    """(d) Caps, quiet hours, consent, holdout, expiry and confirmation hold for every action."""
    rules, playbook = world.plain, world.playbook
    _, _, actions = run(playbook, log)
    for own in by_person(actions).values():
        for number, action in enumerate(own):
            pasts = moments(log, action.user_id, action.requested_at)
            zones = {zone_in(past, rules["timezone"]) for past in pasts}
            assert not held_out(rules, action.user_id)
            assert not action.expires_at or action.requested_at < action.expires_at
            assert action.needs_confirmation == planned(rules, action)["needs_confirmation"]
            assert action.purpose == planned(rules, action)["purpose"]
            if action.purpose:
                assert any(allowed(rules, past, action) for past in pasts)
            at, sop, family = action.requested_at, action.sop, action.family
            assert any(noisy(rules, at, zone, sop, family) for zone in zones)
            for cap in rules["caps"]:
                assert any(fits(cap, zone, action, own[:number]) for zone in zones)


def planned(rules: dict[str, Any], action: Action) -> dict[str, Any]:
    """Return the action as the playbook has it."""
    return next(
        dict(step["action"])
        for sop in rules["sops"]
        for step in sop["steps"]
        if (sop["name"], step["name"]) == (action.sop, action.step.partition("#")[0])
    )


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_every_action_and_suppression_has_a_cause(world: World, log: Log) -> None:
    """(e) What was or was not requested says by which event of the log or by which timer."""
    playbook = world.playbook
    _, facts, actions = run(playbook, log)
    came = {(touchpoint.user_id, touchpoint.event_id, at) for touchpoint, at in log}
    scheduled = {
        (fact.user_id, f"{fact.subject}@{due}")
        for fact in facts
        for due in (fact.values.get("due_at"), fact.values.get("until"))
    } | {
        (fact.user_id, f"{fact.subject}/{fact.new}@{fact.values['due_at']}")
        for fact in facts
        if fact.kind == "journey_entered"
    }
    for fact in facts:
        if fact.cause_kind == "event":
            assert (fact.user_id, fact.cause_id, fact.at) in came
            continue
        kind, _, due = fact.cause_id.rpartition("@")
        assert int(due) == fact.at
        assert (
            kind in {"customer", "rfm", "condition"} or (fact.user_id, fact.cause_id) in scheduled
        )
    requested = [fact for fact in facts if fact.kind == "action_requested"]
    assert [fact.new for fact in requested] == [action.action_id for action in actions]
    assert [fact.cause_id for fact in requested] == [action.cause_id for action in actions]
    assert len({action.action_id for action in actions}) == len(actions)
    assert len({fact.fact_id for fact in facts}) == len(facts)


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_a_person_is_small_whatever_happened(world: World, log: Log) -> None:
    """(f) Profile, ledger and journeys are bounded by the playbook, not by the history."""
    rules, playbook = world.plain, world.playbook
    profiles, _, _ = run(playbook, prolonged(log, 4))
    room = sum(3 * cap["at_most"] * 3 * 4 for cap in rules["caps"])
    for profile in profiles.values():
        assert len(profile.sent) <= room
        assert len(profile.journeys) <= len(playbook.sops)
        assert len(profile.holding) <= len(playbook.edges)
        assert len(encode(profile)) <= profile_bound(playbook)
