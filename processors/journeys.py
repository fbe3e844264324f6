"""Journeys: a person's way through an SOP, from what opens it to its last step.

A person has one journey of an SOP at a time. Steps are due in business time, never before the
stream time of the arrival. History opens no journey: a backfilled or too old event states
``action_suppressed`` instead.
"""

from processors.corrections import remember
from processors.draft import Draft
from processors.journeys_act import act
from processors.journeys_walk import (
    Place,
    arrive,
    end_wait,
    exit_of,
    leave_if_done,
    locate,
    put,
    state_step,
    wanted_at,
)
from processors.logic import Condition
from processors.sops import Sop, Step
from schemas.profile import Journey, Profile
from schemas.records import Touchpoint


def follow(draft: Draft, before: Profile, touchpoint: Touchpoint | None) -> None:
    """Close the journeys that have reached an end, go on with waits, then open new ones.

    Args:
        draft: The profile with the event in it.
        before: The profile without it.
        touchpoint: The event; None where the clock alone changed something.
    """
    journeys, concerned, playbook = draft.profile.journeys, False, draft.playbook
    if touchpoint is None or draft.whole or draft.changed or touchpoint.kind in playbook.watched:
        for name, journey in journeys.items():
            if not journey.ended and _concerns(draft, name, journey, touchpoint):
                concerned = True
                _go_on(draft, name, touchpoint)
    if touchpoint is not None:
        for sop in playbook.entries.get(touchpoint.kind, ()):
            if _opens(draft, sop, before, touchpoint):
                _enter(draft, sop, touchpoint)
    if playbook.edges or draft.profile.holding:
        _enter_by_edge(draft, touchpoint)
    if concerned or draft.profile.journeys is not journeys:
        _look_again(draft)


def take_step(draft: Draft, name: str) -> None:
    """Do what the journey's due step asks for, and move on."""
    place = locate(draft, name)
    if place is None or leave_if_done(draft, place, None):
        return
    sop, _, journey = place
    step = place.step
    target = step.then
    if step.wait is not None:
        end_wait(draft, place, "timeout", None)
        place = _taken(draft, place)
        target = step.wait.otherwise
    elif step.guard is not None and not step.guard.holds(draft.profile, None, draft.at):
        read = step.guard.values(draft.profile, None, draft.at)
        state_step(draft, place, "step_skipped", "guard", **read)
    elif step.action is not None:
        until = act(draft, sop, step, step.action, journey)
        if until is not None:
            put(draft, name, journey.__replace__(due=until))
            target = ""
        elif draft.actions:
            place = _taken(draft, place)
    if target:
        arrive(draft, place, target)
    _look_again(draft)


def _taken(draft: Draft, place: Place) -> Place:
    """Remember the step: an event that comes late may have something to say about it."""
    return place._replace(journey=remember(place.journey, draft.at, draft.playbook.lateness))


def _look_again(draft: Draft) -> None:
    """Ask to be called when the clock may next change a condition of this person's journeys."""
    for name, journey in draft.profile.journeys.items():
        step = None if journey.ended else _step_of(draft, name, journey)
        if step is not None:
            draft.look_again(step.watched.turns(draft.profile, draft.at))


def _step_of(draft: Draft, name: str, journey: Journey) -> Step | None:
    """Return the step of an open journey; None where the playbook in force does not have it."""
    sop = draft.playbook.sops.get(name)
    body = sop.bodies.get(journey.version) if sop is not None else None
    return body.steps.get(journey.step) if body is not None else None


def _concerns(draft: Draft, name: str, journey: Journey, touchpoint: Touchpoint | None) -> bool:
    """Tell whether the event may move an open journey: most events concern none.

    At rest nothing that a journey watches holds, so only what changes it can make it hold.
    """
    if draft.whole:
        return True
    step = _step_of(draft, name, journey)
    return step is None or step.watched.concerns(touchpoint, draft.changed)


def _go_on(draft: Draft, name: str, touchpoint: Touchpoint | None) -> None:
    place = locate(draft, name)
    if place is None or leave_if_done(draft, place, touchpoint):
        return
    wait = place.step.wait
    if wait is not None and wait.condition.holds(draft.profile, touchpoint, draft.at):
        end_wait(draft, place, "met", touchpoint)
        arrive(draft, place, wait.then)


def _opens(draft: Draft, sop: Sop, before: Profile, touchpoint: Touchpoint) -> bool:
    if sop.first_order and not (before.frequency == 0 and draft.profile.frequency == 1):
        return False
    return sop.condition is None or sop.condition.holds(draft.profile, touchpoint, draft.at)


def _enter_by_edge(draft: Draft, touchpoint: Touchpoint | None) -> None:
    """Open the journeys whose condition has become true, and remember which conditions hold."""
    profile, playbook = draft.profile, draft.playbook
    edges = playbook.edges
    if touchpoint is not None and not draft.whole:
        table = playbook.edges_by_kind if draft.changed else playbook.edges_at_once
        edges = table[touchpoint.kind]
    elif draft.whole:
        known = {sop.name for sop in edges}
        profile.holding = tuple(name for name in profile.holding if name in known)
    for sop in edges:
        condition = sop.condition
        if condition is None or not (draft.whole or condition.concerns(touchpoint, draft.changed)):
            continue
        held = sop.name in profile.holding
        if _goes_on(draft, sop, condition, touchpoint, held=held) != held:
            profile.holding = tuple(sorted({sop.name} ^ set(profile.holding)))


def _goes_on(
    draft: Draft, sop: Sop, condition: Condition, touchpoint: Touchpoint | None, *, held: bool
) -> bool:
    """Open a journey at the edge, and tell whether the condition goes on holding."""
    profile = draft.profile
    draft.look_again(condition.turns(profile, draft.at))
    if not condition.holds(profile, touchpoint, draft.at):
        return False
    if not held:
        _enter(draft, sop, touchpoint)
    # What holds for this event only is over with it.
    return not condition.asks_event or condition.holds(profile, None, draft.at)


def _enter(draft: Draft, sop: Sop, touchpoint: Touchpoint | None) -> None:
    rule = f"sops.{sop.name}.enter"
    body = sop.bodies[sop.version]
    steps = ",".join(body.steps)
    opened_at = draft.at if touchpoint is None else touchpoint.occurred_at
    read = sop.condition.values(draft.profile, touchpoint, draft.at) if sop.condition else {}
    reason = _suppression(draft, sop, touchpoint)
    if reason:
        values = {"steps": steps, "occurred_at": str(opened_at), **read}
        draft.fact("action_suppressed", sop.name, new=reason, rule=rule, values=values)
        return
    first = body.steps[body.first]
    wanted = wanted_at(draft, first, opened_at) or draft.at
    journey = Journey(
        sop.version,
        draft.cause_id,
        opened_at,
        first.name,
        max(wanted, draft.at),
        entered_at=draft.at,
    )
    draft.fact(
        "journey_entered",
        sop.name,
        new=first.name,
        rule=rule,
        values={
            "entry_key": journey.entry_key,
            "sop_version": str(sop.version),
            "steps": steps,
            "due_at": str(journey.due),
            **read,
        },
    )
    arrive(draft, Place(sop, body, journey), first.name, told=True)


def _suppression(draft: Draft, sop: Sop, touchpoint: Touchpoint | None) -> str:
    """Return why the journey may not be opened; empty if it may."""
    if touchpoint is not None:
        if touchpoint.backfill:
            return "backfill"
        if draft.at - touchpoint.occurred_at > sop.entry_age:
            return "too_old"
    last = draft.profile.journeys.get(sop.name)
    if last is not None:
        if not last.ended or sop.pause is None or last.entry_key == draft.cause_id:
            return "already_entered"
        if draft.at < last.ended_at + sop.pause:
            return "too_soon"
    found = exit_of(draft, sop.bodies[sop.version], touchpoint)
    return found.name if found else ""
