"""Timers: values computed from the profile, never stored beside it."""

from enum import IntEnum
from typing import NamedTuple

from processors.playbook import Playbook
from processors.rfm import rescore_due
from processors.stages import restage_due
from schemas.profile import Profile


class TimerKind(IntEnum):
    """What a timer does; the lower goes first at the same instant."""

    CUSTOMER = 1
    RFM = 2
    STEP = 3


class Timer(NamedTuple):
    """Something that the clock alone will do to a profile.

    Timers sort in the order of firing: by time; at the same instant stages and segment come before
    the steps of journeys, and these go by the name of the SOP.
    """

    due: int
    kind: TimerKind
    sop: str = ""
    step: str = ""

    @property
    def cause_id(self) -> str:
        """The timer's name in facts and actions: ``rfm@<due>`` or ``<sop>/<step>@<due>``."""
        return (
            f"{self.sop}/{self.step}@{self.due}"
            if self.sop
            else f"{self.kind.name.lower()}@{self.due}"
        )


def timers(profile: Profile, playbook: Playbook) -> list[Timer]:
    """Return the timers that wait in the profile, in the order in which they will fire."""
    waiting = [
        Timer(journey.due, TimerKind.STEP, name, journey.step)
        for name, journey in profile.journeys.items()
        if not journey.ended
    ]
    for kind, due in (
        (TimerKind.CUSTOMER, restage_due(profile, playbook)),
        (TimerKind.RFM, rescore_due(profile, playbook)),
    ):
        if due is not None:
            waiting.append(Timer(due, kind))
    waiting.sort()
    return waiting


def next_due(profile: Profile, playbook: Playbook) -> int | None:
    """Return the stream time at which the profile's first timer is due; None without a timer."""
    due = rescore_due(profile, playbook)
    aged = restage_due(profile, playbook)
    if aged is not None and (due is None or aged < due):
        due = aged
    for journey in profile.journeys.values():
        if not journey.ended and (due is None or journey.due < due):
            due = journey.due
    return due
