"""No history breaks a rule: random playbooks and lives, checked from the outside.

The checks read the events, the facts and the actions, and the rules as they were drawn; they share
no code with the fold. Times of local clocks come from ``zoneinfo`` here too, dates by hand.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys_people import DAY, HOUR
from journeys_worlds import ZONES, lives, worlds
from strategies import Log, cuts

from processors.bounds import profile_bound
from processors.journeys_bound import journeys_bound
from processors.partition import Partition
from processors.playbook import Playbook
from processors.timers import TimerKind, next_due, timers
from schemas.profile import Profile, decode, dump, encode
from schemas.records import Action, Fact, Touchpoint

World = tuple[dict[str, Any], Playbook]
Run = tuple[dict[str, Profile], list[Fact], list[Action]]

MANY = settings(
    max_examples=250, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
SPAN = 20 * DAY
DURATIONS = {"5h": 5 * HOUR, "2d": 2 * DAY}


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


def known(log: Log) -> list[tuple[Touchpoint, int]]:
    """Return the events that count: neither repeated nor late."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for touchpoint, at in log:
        name = (touchpoint.user_id, touchpoint.event_id)
        late = at - touchpoint.occurred_at > 7 * DAY and not touchpoint.backfill
        if name not in seen and not late:
            seen.add(name)
            kept.append((touchpoint, at))
    return kept


def moments(log: Log, action: Action) -> list[list[Touchpoint]]:
    """Return what had happened to the person when the action was requested.

    Two answers where an event came at that very instant: before it and after it.
    """
    own = [each for each in known(log) if each[0].user_id == action.user_id]
    until = [touchpoint for touchpoint, at in own if at <= action.requested_at]
    before = [touchpoint for touchpoint, at in own if at < action.requested_at]
    return [before, until]


def zone_in(past: list[Touchpoint], default: str) -> ZoneInfo:
    """Return the zone that the person told last."""
    told = [
        event
        for event in past
        if event.kind == "attribute_set" and event.payload["name"] == "timezone"
    ]
    last = max(told, key=lambda event: event.occurred_at, default=None)
    name = last.payload["value"] if last else default
    return ZoneInfo(name if name in ZONES else default)


def shown(at: int, zone: ZoneInfo) -> datetime:
    """Return what the wall clock shows."""
    return datetime.fromtimestamp(at / 1000, zone).replace(tzinfo=None)


def allowed(rules: dict[str, Any], past: list[Touchpoint], action: Action) -> bool:
    """Tell whether the person's words, or the policy without any, permit the action."""
    words = [
        event
        for event in past
        if event.kind == "consent_changed"
        and event.payload["purpose"] == action.purpose
        and event.payload["on_channel"] in {action.channel, "*"}
    ]
    last = max(words, key=lambda event: event.occurred_at, default=None)
    return last.payload["granted"] if last else rules["consent"][action.purpose] == "opt_out"


def noisy(rules: dict[str, Any], past: list[Touchpoint], action: Action) -> bool:
    """Tell whether the action is outside the quiet hours."""
    quiet = rules.get("quiet_hours")
    if quiet is None or action.family != "message":
        return True
    clock = shown(action.requested_at, zone_in(past, rules["timezone"])).strftime("%H:%M")
    first, end = quiet["from"], quiet["to"]
    return not (first <= clock < end if first < end else clock >= first or clock < end)


def fits(cap: dict[str, Any], zone: ZoneInfo, action: Action, earlier: list[Action]) -> bool:
    """Tell whether the cap had room for the action after the earlier ones."""
    if action.family not in cap["families"] or action.channel not in (
        cap["channels"] or [action.channel]
    ):
        return True
    alike = [
        other
        for other in earlier
        if other.family in cap["families"]
        and other.channel in (cap["channels"] or [other.channel])
        and all(getattr(other, name) == getattr(action, name) for name in cap["each"])
    ]
    if "within" in cap:
        since = action.requested_at - DURATIONS[cap["within"]]
        return sum(other.requested_at > since for other in alike) < cap["at_most"]

    def period(at: int) -> object:
        day = shown(at, zone).date()
        return day - timedelta(days=day.weekday() if cap["per"] == "week" else 0)

    now = period(action.requested_at)
    return sum(period(other.requested_at) == now for other in alike) < cap["at_most"]


@MANY
@given(world=worlds(), log=lives())
def test_no_action_is_ever_against_the_rules(world: World, log: Log) -> None:
    """Consent, quiet hours, caps, expiry and holdout hold for every action of every history."""
    rules, playbook = world
    _, facts, actions = run(playbook, log)
    held = {fact.user_id for fact in facts if fact.new == "holdout"}
    for own in by_person(actions).values():
        for number, action in enumerate(own):
            pasts = moments(log, action)
            assert action.user_id not in held
            assert not action.expires_at or action.requested_at < action.expires_at
            if action.purpose:
                assert any(allowed(rules, past, action) for past in pasts)
            assert any(noisy(rules, past, action) for past in pasts)
            for cap in rules["caps"]:
                zones = {zone_in(past, rules["timezone"]) for past in pasts}
                assert any(fits(cap, zone, action, own[:number]) for zone in zones)


def check_timers(profile: Profile, facts: list[Fact], playbook: Playbook) -> None:
    """Follow one person's facts: each step that was scheduled is fired on time, or cancelled."""
    pending: dict[str, tuple[str, int]] = {}
    for fact in facts:
        name, _, step = fact.subject.partition("/")
        due = int(fact.values.get("due_at", 0))
        match fact.kind:
            case "journey_entered":
                assert name not in pending
                pending[name] = (fact.new, due)
            case "step_scheduled" | "wait_started":
                assert pending.setdefault(name, (step, due)) == (step, due)
            case "action_deferred":
                assert pending[name] == (step, fact.at)
                pending[name] = (step, int(fact.values["until"]))
                assert pending[name][1] > fact.at
            case "action_requested" | "action_suppressed" if step:
                assert pending.pop(name) == (step, fact.at)
            case "step_skipped" if fact.new == "guard":
                assert pending.pop(name) == (step, fact.at)
            case "step_skipped":
                pending.pop(name, None)
            case "wait_ended":
                waited, until = pending.pop(name)
                assert waited == step
                assert fact.at == until if fact.new == "timeout" else fact.at <= until
            case "journey_exited":
                pending.pop(name, None)
    left = {t.sop: (t.step, t.due) for t in timers(profile, playbook) if t.kind is TimerKind.STEP}
    assert left == pending


@MANY
@given(world=worlds(), log=lives())
def test_timers_are_conserved(world: World, log: Log) -> None:
    """Scheduled is fired, cancelled or pending; nothing is early, late or lost."""
    _, playbook = world
    profiles, facts, _ = run(playbook, log)
    told = by_person(facts)
    now = log[-1][1] + SPAN
    for user_id, profile in profiles.items():
        check_timers(profile, told.get(user_id, []), playbook)
        due = next_due(profile, playbook)
        assert due is None or due > now


@MANY
@given(world=worlds(), log=lives())
def test_every_action_and_suppression_has_a_cause(world: World, log: Log) -> None:
    """What was or was not requested says by which event of the log or by which timer."""
    _, playbook = world
    _, facts, actions = run(playbook, log)
    events = {(touchpoint.user_id, touchpoint.event_id) for touchpoint, _ in log}
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
            assert (fact.user_id, fact.cause_id) in events
        elif "/" in fact.cause_id:
            assert (fact.user_id, fact.cause_id) in scheduled
        else:
            kind, _, due = fact.cause_id.partition("@")
            assert kind in {"customer", "rfm", "condition"}
            assert int(due) == fact.at
    requested = [fact.new for fact in facts if fact.kind == "action_requested"]
    assert requested == [action.action_id for action in actions]
    assert len(set(requested)) == len(requested)
    assert len({fact.fact_id for fact in facts}) == len(facts)


@MANY
@given(world=worlds(), log=lives(), data=st.data())
def test_any_cut_and_restart_gives_the_same(world: World, log: Log, data: st.DataObject) -> None:
    """Batches, idle moves of the clock and restarts change neither profiles nor facts nor ids."""
    _, playbook = world
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


@MANY
@given(world=worlds(), log=lives())
def test_a_person_is_small_whatever_happened(world: World, log: Log) -> None:
    """Ledger and journeys are bounded by the playbook, not by the history."""
    rules, playbook = world
    profiles, _, _ = run(playbook, log * 2)
    room = sum(3 * cap["at_most"] * 3 * 4 for cap in rules["caps"])
    for profile in profiles.values():
        assert len(profile.sent) <= room
        assert len(profile.journeys) <= len(playbook.sops)
        assert len(profile.holding) <= len(playbook.edges)
        assert len(encode(profile)) <= profile_bound(playbook) + journeys_bound(playbook)
