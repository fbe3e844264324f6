"""Stages: AIPL, and new and old customers.

AIPL is the highest stage that holds: Awareness and Interest by touches, Purchase by one order that
counts, Loyalty by two of them, a referral or a positive share. A refund takes its stage back.

A customer is *new* for ``new_for`` after the first event, that instant included, and old from then
on by the clock alone. Without an order that counts every person is ``new_not_purchased``; an old
one with a single order is ``old_purchased``, with more ``old_repeat``.
"""

from processors.draft import Draft
from processors.playbook import Playbook
from schemas.profile import Profile
from schemas.records import Touchpoint
from schemas.segments import AIPL

_PURCHASE, _LOYALTY = 3, 4
_REPEAT = 2  # orders


def touch(draft: Draft, touchpoint: Touchpoint) -> None:
    """Note the rank that this kind of touch gives, and the first time the person was seen."""
    profile = draft.profile
    rank = draft.playbook.touch_ranks.get(touchpoint.kind, 0)
    # A share that runs us down is contact, not loyalty.
    if rank == _LOYALTY and not touchpoint.payload.get("positive", True):
        rank = AIPL.index("interest")
    profile.touch = max(profile.touch, rank)
    if profile.first_seen_at is None or touchpoint.occurred_at < profile.first_seen_at:
        profile.first_seen_at = touchpoint.occurred_at


def restage(draft: Draft) -> None:
    """Bring both stages up to the draft's time, and state what changed."""
    profile = draft.profile
    rank, frequency = profile.touch, profile.frequency
    if frequency and rank < _LOYALTY:
        rank = _LOYALTY if frequency >= _REPEAT else _PURCHASE
    aipl = AIPL[rank]
    if aipl != profile.aipl:
        values = {"frequency": str(frequency), "touch": AIPL[profile.touch]}
        _state(draft, "aipl", profile.aipl, aipl, values)
        profile.aipl = aipl
    customer = _customer(profile, draft.at, draft.playbook)
    if customer != profile.customer:
        values = {"frequency": str(frequency), "first_seen_at": str(profile.first_seen_at)}
        _state(draft, "customer", profile.customer, customer, values)
        profile.customer = customer


def restage_due(profile: Profile, playbook: Playbook) -> int | None:
    """Return the first millisecond at which a new customer is an old one."""
    if profile.customer == "new_purchased" and profile.first_seen_at is not None:
        return profile.first_seen_at + playbook.new_for + 1
    return None


def _customer(profile: Profile, now: int, playbook: Playbook) -> str:
    if not profile.frequency or profile.first_seen_at is None:
        return "new_not_purchased"
    if now - profile.first_seen_at <= playbook.new_for:
        return "new_purchased"
    return "old_repeat" if profile.frequency >= _REPEAT else "old_purchased"


def _state(draft: Draft, subject: str, old: str, new: str, values: dict[str, str]) -> None:
    draft.fact("stage_changed", subject, old=old, new=new, rule=f"stages.{subject}", values=values)
    draft.changed.add(f"stage:{subject}")
