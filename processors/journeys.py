"""Journeys: a person's way through an SOP, from the event that opens it to its last step.

One journey for each SOP and person, ever. Steps are due in business time, counted from the entry
event's ``occurred_at``; a step whose time has passed at entry fires at the next move of the clock.
History opens no journey: a backfilled or too old event states ``action_suppressed`` instead.
"""

from processors.draft import Draft
from processors.playbook import Sop
from schemas.profile import Journey, Profile
from schemas.records import Touchpoint


def follow(draft: Draft, before: Profile, touchpoint: Touchpoint) -> None:
    """Close the journeys that the event ends, then open those that it begins.

    Args:
        draft: The profile with the event in it.
        before: The profile without it.
        touchpoint: The event.
    """
    for name, journey in draft.profile.journeys.items():
        if not journey.ended:
            sop = draft.playbook.sops.get(name)
            reason = _exit_reason(sop, draft.profile) if sop else "sop_removed"
            if reason:
                _close(draft, name, journey, reason)
    for sop in draft.playbook.entries.get(touchpoint.kind, ()):
        if sop.enters(before, draft.profile):
            _enter(draft, sop, touchpoint)


def take_step(draft: Draft, name: str) -> None:
    """Request the action of the journey's due step, and move on to the next one."""
    journey = draft.profile.journeys[name]
    sop = draft.playbook.sops.get(name)
    position = sop.position(journey.step) if sop else None
    if sop is None or position is None:
        _close(draft, name, journey, "step_removed" if sop else "sop_removed")
        return
    draft.request(sop, sop.steps[position], journey)
    if position + 1 == len(sop.steps):
        _close(draft, name, journey, "completed")
        return
    upcoming = sop.steps[position + 1]
    _put(
        draft,
        name,
        Journey(
            journey.version,
            journey.entry_key,
            journey.opened_at,
            upcoming.name,
            journey.opened_at + upcoming.after,
        ),
    )


def _enter(draft: Draft, sop: Sop, touchpoint: Touchpoint) -> None:
    rule = f"sops.{sop.name}.enter"
    steps = ",".join([step.name for step in sop.steps])
    reason = _suppression(draft, sop, touchpoint)
    if reason:
        draft.fact(
            "action_suppressed",
            sop.name,
            new=reason,
            rule=rule,
            values={"steps": steps, "occurred_at": str(touchpoint.occurred_at)},
        )
        return
    first = sop.steps[0]
    due = touchpoint.occurred_at + first.after
    journey = Journey(sop.version, touchpoint.event_id, touchpoint.occurred_at, first.name, due)
    _put(draft, sop.name, journey)
    draft.fact(
        "journey_entered",
        sop.name,
        new=first.name,
        rule=rule,
        values={
            "entry_key": journey.entry_key,
            "sop_version": str(sop.version),
            "steps": steps,
            "due_at": str(due),
        },
    )


def _suppression(draft: Draft, sop: Sop, touchpoint: Touchpoint) -> str:
    """Return why the event may not open the journey; empty if it may."""
    if touchpoint.backfill:
        return "backfill"
    if draft.at - touchpoint.occurred_at > sop.entry_age:
        return "too_old"
    if sop.name in draft.profile.journeys:
        return "already_entered"
    return _exit_reason(sop, draft.profile)


def _exit_reason(sop: Sop, profile: Profile) -> str:
    for name, holds in sop.exits:
        if holds(profile):
            return name
    return ""


def _close(draft: Draft, name: str, journey: Journey, reason: str) -> None:
    closed = Journey(
        journey.version, journey.entry_key, journey.opened_at, journey.step, journey.due, reason
    )
    _put(draft, name, closed)
    draft.fact(
        "journey_exited",
        name,
        old=journey.step,
        new=reason,
        rule=f"sops.{name}.exit_on",
        values={"entry_key": journey.entry_key, "frequency": str(draft.profile.frequency)},
    )


def _put(draft: Draft, name: str, journey: Journey) -> None:
    draft.profile.journeys = {**draft.profile.journeys, name: journey}
