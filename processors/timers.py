"""Timers: values computed from the profile, never stored beside it."""

from enum import IntEnum
from typing import NamedTuple

from processors.playbook import Playbook
from processors.rfm import rescore_due
from processors.stages import restage_due
from schemas.profile import Profile

_EVER = 1 << 62


class TimerKind(IntEnum):
    """What a timer does; the lower goes first at the same instant."""

    CUSTOMER = 1
    RFM = 2
    CONDITION = 3
    STEP = 4


_NAMES = {kind: kind.name.lower() for kind in TimerKind}


class Timer(NamedTuple):
    """Something that the clock alone will do to a profile.

    Timers sort in the order of firing: by time; at the same instant stages and segment come before
    the steps of journeys, and these go by the priority of the SOP, which ``rank`` negates, and then
    by its name. So where a cap leaves room for one, the SOP of the highest priority has it. The
    ``version`` is the journey's: after a migration, a step of the same name is another one.
    """

    due: int
    kind: TimerKind
    rank: int = 0
    sop: str = ""
    step: str = ""
    version: int = 0

    @property
    def cause_id(self) -> str:
        """The timer's name in facts and actions: ``rfm@<due>`` or ``<sop>/<step>@<due>``."""
        return (
            f"{self.sop}/{self.step}@{self.due}" if self.sop else f"{_NAMES[self.kind]}@{self.due}"
        )


def timers(profile: Profile, playbook: Playbook, until: int = _EVER) -> list[Timer]:
    """Return the timers due at or before ``until``, in the order in which they will fire."""
    waiting = [
        Timer(
            journey.due, TimerKind.STEP, _rank(name, playbook), name, journey.visit, journey.version
        )
        for name, journey in profile.journeys.items()
        if not journey.ended and journey.due <= until
    ]
    for kind, due in (
        (TimerKind.CUSTOMER, restage_due(profile, playbook)),
        (TimerKind.RFM, rescore_due(profile, playbook)),
        (TimerKind.CONDITION, profile.turn),
    ):
        if due is not None and due <= until:
            waiting.append(Timer(due, kind))
    waiting.sort()
    return waiting


def first_timer(profile: Profile, playbook: Playbook) -> Timer | None:
    """Return the timer that will fire first; None without a timer."""
    due, kind, step = profile.turn, TimerKind.CONDITION, ""
    if profile.segment:  # without one there is no order, and neither of these has a time
        rescoring, restaging = rescore_due(profile, playbook), restage_due(profile, playbook)
        if rescoring is not None and (due is None or rescoring <= due):
            due, kind = rescoring, TimerKind.RFM
        if restaging is not None and (due is None or restaging <= due):
            due, kind = restaging, TimerKind.CUSTOMER
    rank, sop, version = 0, "", 0
    for name, journey in profile.journeys.items():
        if journey.ended or (due is not None and journey.due > due):
            continue
        order = _rank(name, playbook), name
        if due is None or journey.due < due or (kind is TimerKind.STEP and order < (rank, sop)):
            due, kind, (rank, sop), step = journey.due, TimerKind.STEP, order, journey.visit
            version = journey.version
    return None if due is None else Timer(due, kind, rank, sop, step, version)


def next_due(profile: Profile, playbook: Playbook) -> int | None:
    """Return the stream time at which the profile's first timer is due; None without a timer."""
    due = profile.turn
    if profile.segment:  # without one there is no order, and neither of these has a time
        for other in (rescore_due(profile, playbook), restage_due(profile, playbook)):
            if other is not None and (due is None or other < due):
                due = other
    for journey in profile.journeys.values():
        if not journey.ended and (due is None or journey.due < due):
            due = journey.due
    return due


def may_be_sooner(before: Profile, after: Profile) -> bool:
    """Tell whether the first timer may be due sooner than before: most events put none forward."""
    return (
        after.turn != before.turn
        or after.journeys is not before.journeys
        or after.segment != before.segment
        or after.customer != before.customer
        or after.last_paid_at != before.last_paid_at
        or after.first_seen_at != before.first_seen_at
    )


def _rank(name: str, playbook: Playbook) -> int:
    sop = playbook.sops.get(name)
    return -sop.priority if sop else 0
