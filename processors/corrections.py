"""Corrections: what was requested, and would not have been, had an event come in its time.

Nothing is un-sent. A journey remembers which steps it took of late, and when. An event that
occurred before one of them is held against it: would it have kept the journey from opening, ended
it, met the wait that timed out, taken the consent away, or closed the guard? Then a fact
``action_corrected`` says so.
``docs/decisions/0010-late-events-correct.md`` states what the claim is, and where it ends.
"""

from collections.abc import Iterator
from typing import NamedTuple

from processors.consents import permitted, said
from processors.draft import Draft
from processors.identity import action_id
from processors.logic import Condition
from processors.sops import Body, Sop, Step, reach
from schemas.profile import Journey, Profile, Taken, copied
from schemas.records import Touchpoint

TAKEN_AT_MOST = 32
"""Steps that a journey remembers, the latest."""


class _Verdict(NamedTuple):
    """What would have prevented a request: the reason, its place in the playbook, the readings."""

    reason: str
    rule: str
    values: dict[str, str]


class _Case(NamedTuple):
    """An event that came late, and a journey that went on without it."""

    before: Profile
    after: Profile
    touchpoint: Touchpoint
    journey: Journey
    sop: Sop
    body: Body

    @property
    def rule(self) -> str:
        """The SOP's place in the playbook."""
        return f"sops.{self.sop.name}"

    def brings(self, condition: Condition, *instants: int) -> int | None:
        """Return at which of the instants the event brings the condition about, if at one.

        A condition on the event at hand is asked as of the event, once; any other must hold with
        the event, and not without it.
        """
        if condition.asks_event:
            at = self.touchpoint.occurred_at
            holds = condition.holds(as_of(self.after, at), self.touchpoint, at)
            return at if holds else None
        return next((at for at in instants if self._turns(condition, at)), None)

    def closes(self, condition: Condition, at: int) -> bool:
        """Tell whether the event makes a condition false that held at this instant."""
        return condition.holds(as_of(self.before, at), None, at) and not condition.holds(
            as_of(self.after, at), None, at
        )

    def _turns(self, condition: Condition, at: int) -> bool:
        return condition.holds(as_of(self.after, at), None, at) and not condition.holds(
            as_of(self.before, at), None, at
        )


def remember(journey: Journey, at: int, lateness: int) -> Journey:
    """Return the journey that has taken its step at this stream time; older steps are forgotten."""
    young = (each for each in journey.taken if each.at >= at - lateness)
    return journey.__replace__(taken=(*young, Taken(journey.visit, at))[-TAKEN_AT_MOST:])


def requested_since(profile: Profile, occurred_at: int) -> int:
    """Return how many steps the person's journeys remember to have taken after this time."""
    return sum(
        each.at > occurred_at for journey in profile.journeys.values() for each in journey.taken
    )


def correct(draft: Draft, before: Profile, touchpoint: Touchpoint) -> None:
    """State which requests the event would have prevented, each once.

    Args:
        draft: The profile with the event in it, before its journeys go on.
        before: The profile without it.
        touchpoint: The event.
    """
    for name, journey in before.journeys.items():
        if journey.taken and journey.taken[-1].at > touchpoint.occurred_at:
            _correct(draft, before, touchpoint, name)


def as_of(profile: Profile, at: int) -> Profile:
    """Return the profile without the orders and the windows' events of after this time.

    What was derived from them (tags, stages, the segment) and sums stay as they are, and so does
    whether an order counts that was there by then.
    """
    view = copied(profile)
    view.frequency -= sum(
        order.counts and order.paid_at is not None and order.paid_at > at
        for order in profile.orders.values()
    )
    view.trails = {
        key: tuple(time for time in times if time <= at) for key, times in profile.trails.items()
    }
    return view


def _correct(draft: Draft, before: Profile, touchpoint: Touchpoint, name: str) -> None:
    journey, sop = before.journeys[name], draft.playbook.sops.get(name)
    body = sop.bodies.get(journey.version) if sop else None
    if sop is None or body is None:
        return
    case = _Case(before, draft.profile, touchpoint, journey, sop, body)
    corrected = set()
    for taken, step in _since(case):
        verdict = _verdict(draft, case, taken, step)
        if step.action is None or verdict is None:
            continue
        corrected.add(taken)
        key = journey.entry_key
        draft.fact(
            "action_corrected",
            f"{name}/{taken.step}",
            old=action_id(before.user_id, name, journey.version, key, taken.step),
            new=verdict.reason,
            rule=verdict.rule,
            values={
                "entry_key": key,
                "requested_at": str(taken.at),
                "occurred_at": str(touchpoint.occurred_at),
                **verdict.values,
            },
        )
    if corrected:
        left = tuple(each for each in journey.taken if each not in corrected)
        journeys = draft.profile.journeys
        draft.profile.journeys = {**journeys, name: journey.__replace__(taken=left)}


def _since(case: _Case) -> Iterator[tuple[Taken, Step]]:
    """Yield the steps taken after the event occurred."""
    for taken in case.journey.taken:
        step = case.body.steps.get(taken.name)
        if step is not None and taken.at > case.touchpoint.occurred_at:
            yield taken, step


def _verdict(draft: Draft, case: _Case, taken: Taken, step: Step) -> _Verdict | None:
    return (
        _unopened(case)
        or _ended(case, taken)
        or _answered(case, taken, step)
        or _refused(draft, case, step)
        or _guarded(case, taken, step)
    )


def _unopened(case: _Case) -> _Verdict | None:
    """Return the condition of entry that would not have become true."""
    sop, journey = case.sop, case.journey
    asked, entered_at = sop.condition, journey.entered_at
    if sop.kinds or sop.version != journey.version or asked is None or asked.asks_event:
        return None
    if case.touchpoint.occurred_at > entered_at or not case.closes(asked, entered_at):
        return None
    return _Verdict("not_entered", f"{case.rule}.enter", _read(case, asked, entered_at))


def _ended(case: _Case, taken: Taken) -> _Verdict | None:
    """Return the exit that would have ended the journey, or kept it from opening."""
    occurred_at, entered_at = case.touchpoint.occurred_at, case.journey.entered_at
    for name, key, condition in case.body.exits:
        if condition.asks_event and occurred_at < entered_at:
            continue  # it was over when the journey opened
        at = case.brings(condition, max(occurred_at, entered_at), taken.at)
        if at is not None:
            return _Verdict(name, f"{case.rule}.{key}", _read(case, condition, at))
    return None


def _answered(case: _Case, taken: Taken, step: Step) -> _Verdict | None:
    """Return the wait that the event would have met, and whose other way led here."""
    for earlier, waiting in _since(case):
        wait = waiting.wait
        if earlier.at > taken.at or wait is None or step.name in reach(case.body, wait.then):
            continue
        started_at, occurred_at = earlier.at - wait.timeout, case.touchpoint.occurred_at
        if wait.condition.asks_event and occurred_at < started_at:
            continue
        at = case.brings(wait.condition, max(occurred_at, started_at))
        if at is not None:
            rule = f"{case.rule}.steps.{waiting.name}"
            return _Verdict("wait_met", rule, _read(case, wait.condition, at))
    return None


def _refused(draft: Draft, case: _Case, step: Step) -> _Verdict | None:
    """Return the consent that the event took away."""
    plan, opt_out = step.action, draft.playbook.outreach.opt_out
    if plan is None or not permitted(case.before, plan.purpose, plan.channel, opt_out):
        return None
    if permitted(case.after, plan.purpose, plan.channel, opt_out):
        return None
    values = said(case.after, plan.purpose, plan.channel)
    return _Verdict("consent", f"consent.{plan.purpose}", values)


def _guarded(case: _Case, taken: Taken, step: Step) -> _Verdict | None:
    """Return the guard that the event would have closed."""
    if step.guard is None or not case.closes(step.guard, taken.at):
        return None
    rule = f"{case.rule}.steps.{step.name}"
    return _Verdict("guard", rule, _read(case, step.guard, taken.at))


def _read(case: _Case, condition: Condition, at: int) -> dict[str, str]:
    return condition.values(as_of(case.after, at), case.touchpoint, at)
