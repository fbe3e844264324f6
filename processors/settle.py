"""Bring everything that follows from the profile up to date: points, tier, stages, tags.

An event of a kind asks only the rules that this kind can change, a timer those that the clock can.
A first event, a first sight that moves back and a new version of the playbook ask them all.
"""

from collections.abc import Callable, Mapping

from processors import machines, points, tags
from processors.draft import Draft
from processors.points import Points, Tiers
from processors.rules import HeldTags, KeptTags, Ladder, Transitions
from schemas.records import Touchpoint

_JUDGES: Mapping[type, Callable[..., None]] = {
    HeldTags: tags.hold,
    KeptTags: tags.keep,
    Ladder: machines.climb,
    Transitions: machines.move_on,
}


def settle(draft: Draft, touchpoint: Touchpoint | None) -> None:
    """Judge points, the tier, and each rule that may have changed, in their order."""
    playbook = draft.playbook
    if draft.whole:
        _retire(draft)
    if touchpoint is not None and playbook.points is not None:
        _reward(draft, playbook.points, touchpoint)
    if playbook.tiers is not None and (
        draft.whole or touchpoint is None or touchpoint.kind in playbook.earning
    ):
        _rank(draft, playbook.tiers)
    if draft.whole:
        for rule in playbook.rules:
            _JUDGES[type(rule)](draft, rule, touchpoint)
        return
    may_change = (
        playbook.rules_by_clock
        if touchpoint is None
        else playbook.rules_by_kind.get(touchpoint.kind, ())
    )
    for asked in may_change:
        if asked.concerns(touchpoint, draft.changed):
            _JUDGES[type(asked.rule)](draft, asked.rule, touchpoint)


def _reward(draft: Draft, earning: Points, touchpoint: Touchpoint) -> None:
    """Give the points that the event earns."""
    for matches, amount in earning.events.get(touchpoint.kind, ()):
        if matches is None or matches(touchpoint):
            tiers, at = draft.playbook.tiers, touchpoint.occurred_at
            points.earn(draft.profile, tiers, at, amount, draft.at)


def _rank(draft: Draft, tiers: Tiers) -> None:
    """Give the tier that the points give."""
    profile = draft.profile
    counted = points.counted_points(profile, tiers, draft.at)
    tier = points.tier_at(tiers, counted)
    if tier != profile.machines.get(points.TIER):
        values = {"points": str(profile.points), "counted": str(counted)}
        machines.state_stage(draft, points.TIER, tier, "tiers", values, "tier_changed")
    draft.look_again(points.tier_turns(profile, tiers, draft.at))


def _retire(draft: Draft) -> None:
    """Drop what rules left behind that the playbook no longer has."""
    profile, playbook = draft.profile, draft.playbook
    before, profile.judged = profile.judged, playbook.version
    if before in {0, playbook.version}:  # a new person has nothing yet
        return
    tags.drop_retired(draft)
    profile.trails = {k: v for k, v in profile.trails.items() if k in playbook.window_keys}
    profile.tallies = {k: v for k, v in profile.tallies.items() if k in playbook.window_keys}
    profile.machines = {k: v for k, v in profile.machines.items() if k in playbook.machines}
    profile.assigned = {k: v for k, v in profile.assigned.items() if k in playbook.tags}
    profile.walks = {k: v for k, v in profile.walks.items() if k in playbook.funnels}
