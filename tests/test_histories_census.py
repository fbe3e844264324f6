"""The random histories and playbooks hold what they are for: each rare thing comes often enough.

A property says nothing about what never happens. Over a fixed sample this counts in how many of the
histories each thing occurs, and asks for a sane number, so that a change of the generators cannot
make the properties of ``test_histories.py`` hollow in silence.
"""

from collections import Counter
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from histories import LATENESS, lives, run
from hypothesis import Phase, given, seed, settings
from outreach_oracle import shown
from strategies import THOROUGH, Log
from worlds import World, worlds

from schemas.records import Action, Fact

HISTORIES = 250
TOLD_BY_REASON = {
    "action_deferred",
    "action_suppressed",
    "journey_exited",
    "step_skipped",
    "wait_ended",
}
Seen = set[str]


def in_log(log: Log) -> Seen:
    """Return what there is in a log before anything is made of it."""
    seen: Seen = set()
    paid: set[tuple[str, str]] = set()
    newest: dict[str, int] = {}
    names: set[tuple[str, str]] = set()
    for event, at in log:
        if (event.user_id, event.event_id) in names:
            seen.add("a repeat")
        names.add((event.user_id, event.event_id))
        if at - event.occurred_at > LATENESS and not event.backfill:
            seen.add("an event too late")
        elif event.occurred_at < newest.get(event.user_id, 0):
            seen.add("an event out of order")
        newest[event.user_id] = max(newest.get(event.user_id, 0), event.occurred_at)
        order = (event.user_id, event.payload.get("order_id", ""))
        match event.kind:
            case "order_paid":
                paid.add(order)
            case "order_refunded":
                seen.add("a refund after its order" if order in paid else "a refund before it")
            case "consent_changed":
                seen.add("a consent given" if event.payload["granted"] else "a consent taken")
            case "attribute_set" if event.payload["name"] in {"timezone", "birthday"}:
                seen.add(f"a {event.payload['name']} told")
        if event.backfill:
            seen.add("backfill")
    return seen


def in_facts(world: World, facts: list[Fact]) -> Seen:
    """Return what became of actions, journeys and the person, with its reason."""
    seen: Seen = set()
    caps = {f"caps.{cap['name']}": cap.get("per", "a rolling time") for cap in world.plain["caps"]}
    for fact in facts:
        match fact.kind:
            case "action_suppressed" | "action_deferred" if fact.new == "cap":
                seen |= {f"{fact.kind}: cap", f"cap per {caps[fact.rule]}"}
            case kind if kind in TOLD_BY_REASON:
                seen.add(f"{kind}: {fact.new}")
            case "stage_changed" if fact.old:
                seen.add(f"{fact.kind}: {fact.subject}")
            case _:
                seen.add(fact.kind)
    return seen


def in_time(world: World, log: Log, facts: list[Fact], actions: list[Action]) -> Seen:
    """Return what came of clocks that change, and of playbooks that do."""
    seen: Seen = {"a change of the playbook"} if world.earlier is not None else set()
    zone = ZoneInfo(world.plain["timezone"])
    if offset(log[0][1], zone) != offset(log[-1][1], zone):
        seen.add("a change of the clocks")
    for fact in facts:
        until = int(fact.values.get("until") or fact.values.get("due_at") or fact.at)
        if offset(until, zone) != offset(fact.at, zone):
            seen.add("a wait over a change of the clocks")
    for action in actions:
        if action.playbook_version == world.plain["version"]:
            version = max(each for name, each in world.sops if name == action.sop)
            seen |= {"an action of an old version"} if action.sop_version < version else set()
    return seen


def offset(at: int, zone: ZoneInfo) -> int:
    """Return by how much the wall clock is ahead of UTC, in milliseconds."""
    return round(shown(at, zone).replace(tzinfo=UTC).timestamp() * 1000) - at


LEAST: dict[int, tuple[str, ...]] = {
    3: (
        "action_suppressed: second_order",
        "an action of an old version",
        "cap per a rolling time",
        "cap per day",
        "cap per month",
        "cap per week",
        "journey_exited: consent_withdrawn",
        "journey_exited: goal",
        "journey_exited: moved-on",
        "journey_exited: sop_removed",
        "journey_exited: version_gone",
    ),
    8: (
        "a wait over a change of the clocks",
        "action_corrected",
        "action_deferred: cap",
        "action_suppressed: cap",
        "action_suppressed: expired",
        "action_suppressed: holdout",
        "action_suppressed: quiet_hours",
        "action_suppressed: too_old",
        "action_suppressed: too_soon",
        "journey_exited: friend_removed",
        "journey_migrated",
        "step_skipped: date_passed",
    ),
    20: (
        "a change of the clocks",
        "a refund after its order",
        "a timezone told",
        "action_deferred: quiet_hours",
        "action_suppressed: backfill",
        "action_suppressed: consent",
        "journey_exited: refunded",
        "journey_exited: visits_exhausted",
        "step_skipped: guard",
        "step_skipped: no_date",
        "wait_ended: met",
        "wait_ended: timeout",
    ),
    50: (
        "a birthday told",
        "a change of the playbook",
        "a consent given",
        "a consent taken",
        "a refund before it",
        "a repeat",
        "action_reported",
        "action_requested",
        "an event out of order",
        "an event too late",
        "backfill",
        "journey_exited: completed",
        "segment_changed",
        "stage_changed: aipl",
        "stage_changed: customer",
        "stage_changed: engagement",
        "tag_expired",
        "tag_removed",
        "tier_changed",
    ),
}
"""In how many of the histories each thing occurs at least: about half of what is there today."""


@pytest.mark.usefixtures("unlike")
def test_every_rare_thing_comes_often_enough() -> None:
    """No reason, no way and no change is so rare in the histories that nothing is shown of it."""
    counted: Counter[str] = Counter()

    @seed(20_261_025)
    @settings(THOROUGH, max_examples=HISTORIES, database=None, phases=[Phase.generate])
    @given(world=worlds(), log=lives())
    def look(world: World, log: Log) -> None:
        _, facts, actions = run(world, log)
        counted.update(in_log(log) | in_facts(world, facts) | in_time(world, log, facts, actions))

    look()
    rare = {
        what: counted[what]
        for least, things in LEAST.items()
        for what in things
        if counted[what] < least
    }
    assert not rare, dict(sorted(counted.items()))
