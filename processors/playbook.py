"""The compiled playbook: plain attributes and closures, ready for the fold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.playbook import PlaybookSpec, SopSpec
from schemas.profile import Profile

_DAY = 86_400_000

ExitCondition = Callable[[Profile], bool]
EntryCondition = Callable[[Profile, Profile], bool]


def _first_order(before: Profile, after: Profile) -> bool:
    return before.frequency == 0 and after.frequency == 1


def _always(_before: Profile, _after: Profile) -> bool:
    return True


ENTRY_CONDITIONS: Mapping[str, EntryCondition] = {"first_order": _first_order, "always": _always}
"""Conditions of ``enter.when``: on the profile before and after the event."""

EXIT_CONDITIONS: Mapping[str, ExitCondition] = {
    "second_order": lambda profile: profile.frequency > 1,
    "no_order": lambda profile: profile.frequency == 0,
}
"""Conditions of ``exit_on``: on the profile after any event."""


@dataclass(frozen=True, slots=True)
class RfmCuts:
    """The least that scores H: ``recency`` in milliseconds, ``monetary_minor`` in minor units."""

    recency: int
    frequency: int
    monetary_minor: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an SOP, ``after`` milliseconds from the entry event."""

    name: str
    after: int
    family: str
    template: str
    sender_role: str
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sop:
    """A standard operating procedure: what opens it, its steps, what closes it early."""

    name: str
    version: int
    entry_age: int
    enters: EntryCondition
    exits: tuple[tuple[str, ExitCondition], ...]
    steps: tuple[Step, ...]

    def position(self, step: str) -> int | None:
        """Return the place of the step of that name; None if the SOP has no such step."""
        names = [known.name for known in self.steps]
        return names.index(step) if step in names else None


@dataclass(frozen=True, slots=True)
class Playbook:
    """The rules that the fold follows. Times are milliseconds, money is minor units.

    Attributes:
        touch_ranks: AIPL rank (``processors.stages.AIPL``) by the kind of event.
        sops: SOPs by name.
        entries: SOPs by the kind of event that may open them.
    """

    name: str
    version: int
    currency: str
    min_order_minor: int
    lateness: int
    dedupe_window: int
    rfm: RfmCuts
    touch_ranks: Mapping[str, int]
    new_for: int
    sops: Mapping[str, Sop]
    entries: Mapping[str, tuple[Sop, ...]]


def compile_playbook(spec: PlaybookSpec) -> Playbook:
    """Turn a checked playbook into the one that the fold runs."""
    aipl = spec.stages.aipl
    touches = ((1, aipl.awareness), (2, aipl.interest), (4, aipl.loyalty))
    sops = {sop.name: _compile_sop(sop) for sop in spec.sops}
    entries: dict[str, tuple[Sop, ...]] = {}
    for sop in spec.sops:
        entries[sop.enter.event] = (*entries.get(sop.enter.event, ()), sops[sop.name])
    return Playbook(
        name=spec.name,
        version=spec.version,
        currency=spec.currency,
        min_order_minor=spec.min_order_minor,
        lateness=spec.lateness,
        dedupe_window=spec.dedupe_window,
        rfm=RfmCuts(spec.rfm.recency_days * _DAY, spec.rfm.frequency, spec.rfm.monetary_minor),
        touch_ranks={kind: rank for rank, kinds in touches for kind in kinds},
        new_for=spec.stages.customer.new_for,
        sops=sops,
        entries=entries,
    )


def _compile_sop(sop: SopSpec) -> Sop:
    return Sop(
        name=sop.name,
        version=sop.version,
        entry_age=sop.entry_age,
        enters=ENTRY_CONDITIONS[sop.enter.when],
        exits=tuple((name, EXIT_CONDITIONS[name]) for name in sop.exit_on),
        steps=tuple(
            Step(
                name=step.name,
                after=step.after,
                family=step.action.family,
                template=step.action.template,
                sender_role=step.action.sender_role,
                params=dict(step.action.params),
            )
            for step in sop.steps
        ),
    )
