"""The compiled rules of reaching out that hold across all SOPs."""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.holdout import HUNDREDTHS
from processors.limits import Cap, Quiet
from schemas.playbook import PlaybookSpec
from schemas.playbook.outreach import CapSpec, QuietHoursSpec


@dataclass(frozen=True, slots=True)
class Outreach:
    """What every action has to pass, whichever SOP asks for it.

    Attributes:
        zone: IANA name of the zone of people who have none of their own.
        opt_out: By purpose, whether silence means yes.
        quiet: Quiet hours for SOPs without their own.
        caps: Frequency caps.
        holdout: Share of people who get no action, in hundredths of a percent.
        salt: Draws the group.
    """

    zone: str
    opt_out: Mapping[str, bool]
    quiet: Quiet | None
    caps: tuple[Cap, ...]
    holdout: int
    salt: str


def compile_outreach(spec: PlaybookSpec) -> Outreach:
    """Turn the checked rules into those that the fold applies."""
    holdout = spec.holdout
    return Outreach(
        zone=spec.timezone,
        opt_out={purpose: policy == "opt_out" for purpose, policy in spec.consent.items()},
        quiet=compile_quiet(spec.quiet_hours, "quiet_hours"),
        caps=tuple(_cap(cap) for cap in spec.caps),
        holdout=round(holdout.percent * HUNDREDTHS / 100) if holdout else 0,
        salt=holdout.salt if holdout else "",
    )


def compile_quiet(spec: QuietHoursSpec | None, rule: str) -> Quiet | None:
    """Turn checked quiet hours into those that actions meet; ``rule`` is their place."""
    if spec is None:
        return None
    return Quiet(spec.start, spec.end, spec.then == "defer", frozenset(spec.families), rule)


def _cap(spec: CapSpec) -> Cap:
    return Cap(
        name=spec.name,
        at_most=spec.at_most,
        within=spec.within or 0,
        period=spec.per or "",
        each=frozenset(spec.each),
        channels=frozenset(spec.channels),
        families=frozenset(spec.families),
        defer=spec.then == "defer",
    )
