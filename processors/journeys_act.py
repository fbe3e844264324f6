"""The moment of an action: everything that may hold it back is asked now, not at entry.

In this order: holdout, consent, expiry, quiet hours, caps. The first obstacle decides, and the fact
says which, with the values that it read.
"""

from typing import NamedTuple

from processors.consents import permitted, said
from processors.draft import Draft
from processors.holdout import held_out
from processors.identity import action_id
from processors.limits import LEDGER_AT_MOST, Cap, still_counted
from processors.sops import ActionPlan, Sop, Step
from processors.zones import local, zone_of
from schemas.profile import Journey, Sent
from schemas.records import Action

SENDER_AT_MOST = 256
"""Characters of a sender: the ledger keeps it."""


class _Obstacle(NamedTuple):
    """Why an action may not go out now, and when to try again; None for never."""

    reason: str
    rule: str
    values: dict[str, str]
    until: int | None = None


def act(draft: Draft, sop: Sop, step: Step, plan: ActionPlan, journey: Journey) -> int | None:
    """Request the step's action, or state why not.

    Returns:
        The later time to which the action is deferred; None when the step is over.
    """
    sender = plan.sender(draft.profile)[:SENDER_AT_MOST]
    wanted = Sent(draft.at, plan.family, plan.channel, sender)
    expires_at = journey.wanted + plan.expires_after if plan.expires_after else 0
    rule = f"sops.{sop.name}.steps.{step.name}"
    values = {
        "entry_key": journey.entry_key,
        "opened_at": str(journey.opened_at),
        "due_at": str(journey.wanted),
    }
    obstacle = _obstacle(draft, sop, plan, wanted, expires_at)
    if obstacle is None:
        draft.request(
            _action(draft, sop, plan, journey, wanted, expires_at), rule=rule, values=values
        )
        _enter_ledger(draft, wanted)
        return None
    reason, until = obstacle.reason, obstacle.until
    values |= {"step": rule, **obstacle.values}
    if until is not None:
        values["until"] = str(until)
    kind = "action_suppressed"
    if until is not None and expires_at and until >= expires_at:
        values |= {"expires_at": str(expires_at), "held_back_by": reason}
        reason, until = "expired", None
    elif until is not None:
        kind = "action_deferred"
    subject = f"{sop.name}/{journey.visit}"
    draft.fact(kind, subject, new=reason, rule=obstacle.rule, values=values)
    return until


def _action(
    draft: Draft,
    sop: Sop,
    plan: ActionPlan,
    journey: Journey,
    wanted: Sent,
    expires_at: int,
) -> Action:
    profile, visit = draft.profile, journey.visit
    return Action(
        action_id=action_id(profile.user_id, sop.name, journey.version, journey.entry_key, visit),
        user_id=profile.user_id,
        family=plan.family,
        template=plan.template,
        sender_role=plan.sender_role,
        params={name: filled(profile) for name, filled in plan.params},
        due_at=journey.wanted,
        playbook=draft.playbook.name,
        playbook_version=draft.playbook.version,
        sop=sop.name,
        sop_version=journey.version,
        entry_key=journey.entry_key,
        step=visit,
        cause_kind=draft.cause_kind,
        cause_id=draft.cause_id,
        channel=plan.channel,
        sender=wanted.sender,
        purpose=plan.purpose,
        needs_confirmation=plan.needs_confirmation,
        requested_at=draft.at,
        expires_at=expires_at,
    )


def _obstacle(
    draft: Draft, sop: Sop, plan: ActionPlan, wanted: Sent, expires_at: int
) -> _Obstacle | None:
    outreach, profile, now = draft.playbook.outreach, draft.profile, draft.at
    if outreach.holdout and held_out(profile.user_id, outreach.holdout, outreach.salt):
        return _Obstacle("holdout", "holdout", {"share": f"{outreach.holdout / 100}%"})
    if not permitted(profile, plan.purpose, plan.channel, outreach.opt_out):
        spoken = said(profile, plan.purpose, plan.channel)
        return _Obstacle("consent", f"consent.{plan.purpose}", spoken)
    if expires_at and now >= expires_at:
        return _Obstacle("expired", "expires_after", {"expires_at": str(expires_at)})
    return _quiet(draft, sop, plan) or _capped(draft, wanted)


def _quiet(draft: Draft, sop: Sop, plan: ActionPlan) -> _Obstacle | None:
    outreach = draft.playbook.outreach
    quiet = None if sop.at_any_hour else sop.quiet or outreach.quiet
    if quiet is None or plan.family not in quiet.families:
        return None
    zone = zone_of(draft.profile, outreach.zone)
    until = quiet.until(draft.at, zone)
    if until is None:
        return None
    values = {"local_time": local(draft.at, zone).isoformat(), "timezone": str(zone)}
    return _Obstacle("quiet_hours", quiet.rule, values, until if quiet.defer else None)


def _capped(draft: Draft, wanted: Sent) -> _Obstacle | None:
    """Return the cap that leaves no room: one that drops first, else the one full the longest."""
    outreach, ledger = draft.playbook.outreach, draft.profile.sent
    caps = [cap for cap in outreach.caps if cap.counts(wanted)]
    if not caps:
        return None
    zone = zone_of(draft.profile, outreach.zone)
    full: list[tuple[bool, int, Cap]] = [
        (not cap.defer, until, cap)
        for cap in caps
        if (until := cap.full_until(ledger, wanted, zone)) is not None
    ]
    if full:
        drops, until, cap = max(full, key=lambda each: each[:2])
        values = {"cap": cap.name, "at_most": str(cap.at_most), "room_at": str(until)}
        return _Obstacle("cap", f"caps.{cap.name}", values, None if drops else until)
    kept = still_counted(ledger, outreach.caps, draft.at)
    if len(kept) >= LEDGER_AT_MOST:
        return _Obstacle("ledger_full", "caps", {"kept": str(len(kept))})
    return None


def _enter_ledger(draft: Draft, wanted: Sent) -> None:
    caps = draft.playbook.outreach.caps
    if any(cap.counts(wanted) for cap in caps):
        draft.profile.sent = (*still_counted(draft.profile.sent, caps, draft.at), wanted)
