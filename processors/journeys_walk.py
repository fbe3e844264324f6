"""A journey's way from step to step: arrival, what is due when, versions, and the end."""

from typing import NamedTuple

from processors.checks import text
from processors.draft import Draft
from processors.sops import Body, Exit, Sop, Step
from processors.zones import anniversary, days_later, instant, next_time, zone_of
from schemas.playbook.sops import END
from schemas.profile import Journey
from schemas.records import Touchpoint

_ENDS = {
    "completed": "steps",
    "no_date": "steps",
    "step_removed": "steps",
    "version_gone": "version",
    "visits_exhausted": "max_visits",
}
"""The SOP's key that ended a journey that no exit ended; an SOP that was removed has none."""


class Place(NamedTuple):
    """Where a journey is: its SOP, the version it runs under, and itself."""

    sop: Sop
    body: Body
    journey: Journey

    @property
    def step(self) -> Step:
        """The step that is due next."""
        return self.body.steps[self.journey.step]


def locate(draft: Draft, name: str) -> Place | None:
    """Find an open journey's place under the playbook in force.

    A journey goes on under the version it entered with as long as the playbook carries it, else by
    an explicit migration; where neither is there, it is closed and None returned.
    """
    journey, sop = draft.profile.journeys[name], draft.playbook.sops.get(name)
    if sop is None:
        close(draft, name, journey, "sop_removed")
        return None
    body = sop.bodies.get(journey.version)
    if body is None:
        target = sop.migrations.get(journey.version, {}).get(journey.step)
        if target is None:
            close(draft, name, journey, "version_gone")
            return None
        body = sop.bodies[sop.version]
        journey = _migrate(draft, sop, journey, target)
    if journey.step not in body.steps:
        close(draft, name, journey, "step_removed")
        return None
    return Place(sop, body, journey)


def leave_if_done(draft: Draft, place: Place, touchpoint: Touchpoint | None) -> bool:
    """Close the journey if one of its exits holds; tell whether it did."""
    found = exit_of(draft, place.body, touchpoint)
    if found is None:
        return False
    values = found.condition.values(draft.profile, touchpoint, draft.at)
    close(draft, place.sop.name, place.journey, found.name, values, key=found.key)
    return True


def exit_of(draft: Draft, body: Body, touchpoint: Touchpoint | None) -> Exit | None:
    """Return the first exit that holds."""
    for each in body.exits:
        if each.condition.holds(draft.profile, touchpoint, draft.at):
            return each
    return None


def wanted_at(draft: Draft, step: Step, opened_at: int, *, back: bool = False) -> int | None:
    """Return when a step is due by the playbook, for a person who arrives at it now.

    Args:
        draft: The profile in the making.
        step: The step.
        opened_at: Business time at which the journey opened.
        back: Whether the journey comes back to it from a later step: a day of every year is then
            one yet to come, or the same anniversary would be met for ever.

    Returns:
        None for a day of every year that the profile does not know.
    """
    if step.wait is not None:
        return draft.at + step.wait.timeout
    base = draft.at + step.delay if step.after is None else opened_at + step.after
    if step.at is None:
        return base
    zone = zone_of(draft.profile, draft.playbook.outreach.zone)
    if step.yearly:
        mark = draft.profile.attributes.get(step.yearly)
        return anniversary(mark.value if mark else None, step.at, draft.at + back, zone)
    if step.on is not None:
        return instant(step.on, step.at, zone)
    if step.days is not None:
        return days_later(opened_at, step.days, step.at, zone)
    return next_time(base, step.at, zone)


def arrive(draft: Draft, place: Place, name: str, *, told: bool = False) -> None:
    """Take the journey to a step, and on as far as it goes without the clock.

    Each turn of the loop is a visit, and visits are bounded, so it ends whatever the steps are.

    Args:
        draft: The profile in the making.
        place: Where the journey is; its own step is over.
        name: The step to go to, or ``end``.
        told: Whether a fact has told already when this first step is due.
    """
    sop, body, journey = place
    while name != END:
        step = body.steps[name]
        visits = journey.visits
        if step.returns:
            visits = {**visits, name: visits.get(name, 0) + 1}
            if visits[name] > body.max_visits:
                close(draft, sop.name, journey, "visits_exhausted")
                return
        back = not told and _is_back(body, journey.step, name)
        known = wanted_at(draft, step, journey.opened_at, back=back)
        wanted = draft.at if known is None else known
        due = max(wanted, draft.at)
        journey = journey.__replace__(step=name, due=due, wanted=wanted, visits=visits)
        put(draft, sop.name, journey)
        place = Place(sop, body, journey)
        if known is None and back:
            close(draft, sop.name, journey, "no_date")
            return
        if step.wait is not None:
            state_step(draft, place, "wait_started", due_at=str(due))
            if not step.wait.condition.holds(draft.profile, None, draft.at):
                return
            end_wait(draft, place, "met", None)
        elif not _skips(draft, place, known):
            if not told:
                state_step(draft, place, "step_scheduled", due_at=str(due))
            return
        name, told = step.then, False
    close(draft, sop.name, journey, "completed")


def _is_back(body: Body, old: str, new: str) -> bool:
    """Tell whether a way leads back, or to the same step again."""
    order = list(body.steps)
    return order.index(new) <= order.index(old)


def _skips(draft: Draft, place: Place, wanted: int | None) -> bool:
    """Tell whether a step has no day, or one that has passed, and say so."""
    step = place.step
    if wanted is None:
        mark = draft.profile.attributes.get(step.yearly)
        value = text(mark.value if mark else None)
        state_step(draft, place, "step_skipped", "no_date", attribute=step.yearly, value=value)
        return True
    if step.on is not None and wanted < draft.at:
        state_step(draft, place, "step_skipped", "date_passed", wanted_at=str(wanted))
        return True
    return False


def end_wait(draft: Draft, place: Place, how: str, touchpoint: Touchpoint | None) -> None:
    """State that a wait was met or timed out, with the values that decided."""
    wait = place.step.wait
    values = wait.condition.values(draft.profile, touchpoint, draft.at) if wait else {}
    state_step(draft, place, "wait_ended", how, **values)


def state_step(draft: Draft, place: Place, kind: str, new: str = "", **values: str) -> None:
    """State what became of the journey's step."""
    sop, journey = place.sop, place.journey
    draft.fact(
        kind,
        f"{sop.name}/{journey.visit}",
        new=new,
        rule=f"sops.{sop.name}.steps.{place.step.name}",
        values={"entry_key": journey.entry_key, **values},
    )


def close(
    draft: Draft,
    name: str,
    journey: Journey,
    reason: str,
    values: dict[str, str] | None = None,
    *,
    key: str = "",
) -> None:
    """End the journey, and state why; ``key`` is the place in the SOP of an exit."""
    put(draft, name, journey.__replace__(ended=reason, ended_at=draft.at))
    draft.fact(
        "journey_exited",
        name,
        old=journey.step,
        new=reason,
        rule=f"sops.{name}.{key or _ENDS[reason]}" if key or reason in _ENDS else "sops",
        values={
            "entry_key": journey.entry_key,
            "frequency": str(draft.profile.frequency),
            **(values or {}),
        },
    )


def put(draft: Draft, name: str, journey: Journey) -> None:
    """Write the journey into the draft."""
    draft.profile.journeys = {**draft.profile.journeys, name: journey}


def _migrate(draft: Draft, sop: Sop, journey: Journey, target: str) -> Journey:
    step = sop.bodies[sop.version].steps[target]
    visits = {target: 1} if step.returns else {}
    # What was taken is forgotten: the new version's steps say nothing about the old one's.
    new = journey.__replace__(version=sop.version, step=target, visits=visits, taken=())
    put(draft, sop.name, new)
    draft.fact(
        "journey_migrated",
        sop.name,
        old=f"{journey.version}/{journey.step}",
        new=f"{sop.version}/{target}",
        rule=f"sops.{sop.name}.migrate",
        values={"entry_key": journey.entry_key, "due_at": str(journey.due)},
    )
    return new
