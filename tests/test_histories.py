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
from histories import SPAN, lives, prolonged, restarted, run
from hypothesis import given
from hypothesis import strategies as st
from outreach_oracle import (
    allowed,
    fits,
    held_out,
    moments,
    noisy,
    zone_in,
)
from strategies import EXHAUSTIVE, Log, cuts
from timer_oracle import follow_timers
from worlds import World, worlds

from processors.bounds import profile_bound
from processors.partition import Partition
from processors.timers import TimerKind, first_timer, next_due, timers
from schemas.profile import dump, encode
from schemas.records import Action

# A thousand histories take 20 s of a core; on a crowded machine that may be minutes.
pytestmark = [pytest.mark.timeout(1_200), pytest.mark.usefixtures("unlike")]


def by_person(things: Iterable[Any]) -> dict[str, list[Any]]:
    """Group facts, actions or touchpoints by their person, in order."""
    ordered = sorted(things, key=lambda thing: thing.user_id)
    return {user: list(own) for user, own in groupby(ordered, key=lambda thing: thing.user_id)}


@EXHAUSTIVE
@given(world=worlds(), log=lives(), data=st.data())
def test_any_cut_and_restart_gives_the_same(world: World, log: Log, data: st.DataObject) -> None:
    """(b) Batches, idle moves of the clock and restarts change neither profiles, facts nor ids."""
    eras = world.eras(log)
    change = len(eras[0][1])
    partition, effects, start = Partition(world.first, {}), [], 0
    for stop in sorted({*data.draw(cuts(len(log))), change, len(log)}):
        effects.append(partition.apply(log[start:stop]))
        following = log[stop][1] if stop < len(log) else log[-1][1] + SPAN
        if stop != change:  # what comes due there is due under the next playbook
            idle = data.draw(st.integers(partition.clock, max(partition.clock, following)))
            effects.append(partition.advance(idle if partition.clock else 0))
        partition = restarted(partition, world.playbook if stop >= change else world.first)
        start = stop
    effects.append(partition.advance(log[-1][1] + SPAN))
    profiles, facts, actions = run(world, log)
    assert list(dump(partition.profiles)) == list(dump(profiles))
    assert by_person(f for each in effects for f in each.facts) == by_person(facts)
    assert by_person(a for each in effects for a in each.actions) == by_person(actions)


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_timers_are_conserved(world: World, log: Log) -> None:
    """(c) Scheduled is fired, cancelled or pending; nothing is early, late or lost."""
    playbook = world.playbook
    profiles, facts, actions = run(world, log)
    told, requested = by_person(facts), {action.action_id: action for action in actions}
    now = log[-1][1] + SPAN
    for user_id, profile in profiles.items():
        pending = follow_timers(world, log, told.get(user_id, []), requested)
        left = timers(profile, playbook)
        assert pending == {t.sop: (t.step, t.due) for t in left if t.kind is TimerKind.STEP}
        assert all(due > now for _, due in pending.values())
        due = next_due(profile, playbook)
        assert due is None or due > now
        assert first_timer(profile, playbook) == (left[0] if left else None)


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_no_action_is_ever_against_the_rules(world: World, log: Log) -> None:
    """(d) Caps, quiet hours, consent, holdout, expiry and confirmation hold for every action."""
    rules = world.plain
    _, _, actions = run(world, log)
    for own in by_person(actions).values():
        for number, action in enumerate(own):
            pasts = moments(log, action.user_id, action.requested_at)
            zones = {zone_in(past, rules["timezone"]) for past in pasts}
            assert not held_out(rules, action.user_id)
            assert not action.expires_at or action.requested_at < action.expires_at
            sop = world.sops[action.sop, action.sop_version]
            assert action.needs_confirmation == planned(sop, action)["needs_confirmation"]
            assert action.purpose == planned(sop, action)["purpose"]
            if action.purpose:
                assert any(allowed(rules, past, action) for past in pasts)
            at = action.requested_at
            assert any(noisy(rules, at, zone, sop, action.family) for zone in zones)
            for cap in rules["caps"]:
                assert any(fits(cap, zone, action, own[:number]) for zone in zones)


def planned(sop: dict[str, Any], action: Action) -> dict[str, Any]:
    """Return the action as the playbook has it."""
    name = action.step.partition("#")[0]
    return next(dict(step["action"]) for step in sop["steps"] if step["name"] == name)


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_every_action_and_suppression_has_a_cause(world: World, log: Log) -> None:
    """(e) What was or was not requested says by which event of the log or by which timer."""
    _, facts, actions = run(world, log)
    came = {(touchpoint.user_id, touchpoint.event_id, at) for touchpoint, at in log}
    scheduled = {
        (fact.user_id, f"{fact.subject}@{due}")
        for fact in facts
        for due in (fact.values.get("due_at"), fact.values.get("until"))
    } | {
        (fact.user_id, f"{fact.subject}/{fact.new.rpartition('/')[2]}@{fact.values['due_at']}")
        for fact in facts
        if fact.kind in {"journey_entered", "journey_migrated"}
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
    requested_at = {action.action_id: str(action.requested_at) for action in actions}
    for fact in facts:
        if fact.kind == "action_corrected":
            assert requested_at[fact.old] == fact.values["requested_at"]


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_a_person_is_small_whatever_happened(world: World, log: Log) -> None:
    """(f) Profile, ledger and journeys are bounded by the playbook, not by the history."""
    playbook = world.playbook
    profiles, _, _ = run(world, prolonged(log, 4))
    room = sum(3 * cap["at_most"] * 3 * 4 for cap in world.plain["caps"])
    dropped = profile_bound(world.first) if world.earlier else 0
    for profile in profiles.values():
        assert len(profile.sent) <= room
        assert len(profile.journeys) <= len({name for name, _ in world.sops})
        assert len(profile.holding) <= len(playbook.edges)
        assert len(encode(profile)) <= profile_bound(playbook) + dropped
