"""RFM: eight segments from recency, frequency and monetary value, against fixed cuts.

Each letter is H at or above the playbook's cut. R is H while the last order that counts is at most
``recency`` old, that instant included. Recency falls with the clock alone: a timer rescores.
"""

from typing import NamedTuple

from processors.draft import Draft
from processors.playbook import Playbook
from schemas.profile import Profile


class Segment(NamedTuple):
    """One of the eight: its name here, its Chinese name, and the other name in use."""

    name: str
    chinese: str
    also: str = ""


SEGMENTS = {
    "HHH": Segment("important_value", "重要价值", "高价值客户"),
    "LHH": Segment("important_keep", "重要保持", "重要唤回"),
    "HLH": Segment("important_develop", "重要发展", "重要深耕"),
    "LLH": Segment("important_retain", "重要挽留"),
    "HHL": Segment("general_value", "一般价值", "潜力客户"),
    "LHL": Segment("general_keep", "一般保持", "一般维持"),
    "HLL": Segment("general_develop", "一般发展", "新客户"),
    "LLL": Segment("general_retain", "一般挽留", "流失客户"),
}
"""The segments by their letters for R, F and M."""

_RECENT = {segment.name for letters, segment in SEGMENTS.items() if letters[0] == "H"}


def letters(profile: Profile, now: int, playbook: Playbook) -> str:
    """Return the letters for R, F and M at ``now``; empty without an order that counts."""
    last = profile.last_paid_at
    if last is None:
        return ""
    cuts = playbook.rfm
    return (
        ("H" if now - last <= cuts.recency else "L")
        + ("H" if profile.frequency >= cuts.frequency else "L")
        + ("H" if profile.monetary_minor >= cuts.monetary_minor else "L")
    )


def rescore(draft: Draft) -> None:
    """Bring the segment up to the draft's time, and state a change."""
    profile = draft.profile
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
            "last_paid_at": "" if profile.last_paid_at is None else str(profile.last_paid_at),
            "frequency": str(profile.frequency),
            "monetary_minor": str(profile.monetary_minor),
        },
    )
    profile.segment = segment


def rescore_due(profile: Profile, playbook: Playbook) -> int | None:
    """Return the first millisecond at which the recent order is no longer recent."""
    if profile.segment in _RECENT and profile.last_paid_at is not None:
        return profile.last_paid_at + playbook.rfm.recency + 1
    return None
