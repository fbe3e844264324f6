"""RFM: eight segments from recency, frequency and monetary value, against fixed cuts.

Each letter is H at or above the playbook's cut. R is H while the last order that counts is at most
``recency`` old, that instant included. Recency falls with the clock alone: a timer rescores.
"""

from processors.draft import Draft
from processors.playbook import Playbook
from schemas.profile import Profile
from schemas.segments import SEGMENTS

_RECENT = {segment.name for letters, segment in SEGMENTS.items() if letters[0] == "H"}

_LETTERS = [[[f"{r}{f}{m}" for m in "LH"] for f in "LH"] for r in "LH"]


def letters(profile: Profile, now: int, playbook: Playbook) -> str:
    """Return the letters for R, F and M at ``now``; empty without an order that counts."""
    last = profile.last_paid_at
    if last is None:
        return ""
    cuts = playbook.rfm
    return _LETTERS[now - last <= cuts.recency][profile.frequency >= cuts.frequency][
        profile.monetary_minor >= cuts.monetary_minor
    ]


def rescore(draft: Draft) -> None:
    """Bring the segment up to the draft's time, and state a change."""
    profile = draft.profile
    if profile.last_paid_at is None and not profile.segment:
        return
    scored = letters(profile, draft.at, draft.playbook)
    segment = SEGMENTS[scored].name if scored else ""
    if segment == profile.segment:
        return
    draft.fact(
        "segment_changed",
        "rfm",
        old=profile.segment,
        new=segment,
        rule="rfm",
        values={
            "letters": scored,
            "cuts": draft.playbook.rfm.source,
            "last_paid_at": "" if profile.last_paid_at is None else str(profile.last_paid_at),
            "frequency": str(profile.frequency),
            "monetary_minor": str(profile.monetary_minor),
        },
    )
    profile.segment = segment
    draft.changed.add("segment")


def rescore_due(profile: Profile, playbook: Playbook) -> int | None:
    """Return the first millisecond at which the recent order is no longer recent."""
    if profile.segment in _RECENT and profile.last_paid_at is not None:
        return profile.last_paid_at + playbook.rfm.recency + 1
    return None
