"""What a funnel is: its steps, window, order, exclusions. ``docs/funnels.md`` has every rule."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, Self

from sinks.condition import Condition

MOST_CONDITIONS = 21
MOST_OVERLAPPING = 4
"""Conditions of an any-order funnel that may share a kind: of n, 2ⁿ unions are looked at."""

Order = Literal["ordered", "strict", "any"]
TouchField = Literal["source", "campaign", "channel"]


@dataclass(frozen=True)
class Step:
    """A step that an event satisfies which meets the condition."""

    name: str
    condition: Condition


@dataclass(frozen=True)
class Exclusion:
    """No such event strictly between the steps ``after`` and ``before``, counted from 1."""

    condition: Condition
    after: int
    before: int


@dataclass(frozen=True)
class Touch:
    """Breakdown by a field of the first or last touch up to and including the entry."""

    which: Literal["first", "last"]
    field: TouchField


@dataclass(frozen=True)
class StepField:
    """Breakdown by a field of the event that satisfied ``step``, counted from 1."""

    step: int
    field: str


Breakdown = Touch | StepField


@dataclass(frozen=True)
class Funnel:
    """Steps that a person takes within ``window_ms`` of the attempt's first event, inclusive.

    Attributes:
        name: What to call it.
        steps: At least one.
        window_ms: Milliseconds.
        entry: ``latest``: any entry counts, the latest of the best; ``first``: only the first ever.
        order: ``ordered``, ``strict`` (no other touch between) or ``any``.
        exclusions: What must not come between two steps.
        since: Milliseconds since 1970; entries before it do not count.
        until: Entries from it on do not count.
        definition: What the live rows of the funnel are kept under; empty for one that is not kept.
        lateness_ms: Leave out what the live profile does not apply: touches that were appended
            longer than this after they occurred and are not backfill, and dead letters. None
            counts every touch.
    """

    name: str
    steps: tuple[Step, ...]
    window_ms: int
    entry: Literal["latest", "first"] = "latest"
    order: Order = "ordered"
    exclusions: tuple[Exclusion, ...] = ()
    since: int | None = None
    until: int | None = None
    definition: str = ""
    lateness_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"the funnel {self.name!r} has no steps")
        if self.window_ms < 0:
            raise ValueError(f"the funnel {self.name!r} has a window below 0 ms")
        if len(self.conditions) > MOST_CONDITIONS:
            raise ValueError(
                f"the funnel {self.name!r} has more than {MOST_CONDITIONS} different conditions"
            )
        for exclusion in self.exclusions:
            self._check(exclusion)
        if self.order == "any":
            for group in self.overlapping():
                if len(group) > MOST_OVERLAPPING:
                    raise ValueError(
                        f"the any-order funnel {self.name!r} has {len(group)} different conditions "
                        f"on the same kinds of event; at most {MOST_OVERLAPPING} can be matched"
                    )

    def _check(self, exclusion: Exclusion) -> None:
        last = len(self.steps)
        if self.order == "strict":
            raise ValueError("a strict funnel excludes everything between its steps already")
        if not 1 <= exclusion.after < exclusion.before <= last:
            raise ValueError(
                f"an exclusion lies between two steps of 1 to {last}, "
                f"not between {exclusion.after} and {exclusion.before}"
            )
        if self.order == "any" and (exclusion.after, exclusion.before) != (1, last):
            raise ValueError("in an any-order funnel an exclusion holds from step 1 to the last")

    @property
    def titles(self) -> tuple[str, ...]:
        """What each row of the answer counts; in any order, how many steps, whichever they are."""
        if self.order == "any":
            last = len(self.steps)
            return (*(f"any {k} of {last}" for k in range(1, last)), f"all {last}")
        return tuple(step.name for step in self.steps)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The different conditions, of steps first; an event's bit i says it meets the i-th."""
        steps = [step.condition for step in self.steps]
        excluded = [exclusion.condition for exclusion in self.exclusions]
        return tuple(dict.fromkeys(steps + excluded))

    def bit(self, condition: Condition) -> int:
        """Return the bit that an event has which meets the condition."""
        return 1 << self.conditions.index(condition)

    @property
    def distinct_steps(self) -> bool:
        """Whether no event can meet two of the conditions, and no step is there twice."""
        kinds = [kind for condition in self.conditions for kind in condition.kinds]
        steps = [step.condition for step in self.steps]
        return len(set(kinds)) == len(kinds) and len(set(steps)) == len(steps)

    def overlapping(self) -> list[dict[Condition, int]]:
        """Return the steps' conditions, with how often each occurs, by what may share an event."""
        groups: list[dict[Condition, int]] = []
        for step in self.steps:
            alike = [group for group in groups if _overlap(step.condition, group)]
            merged = {condition: n for group in alike for condition, n in group.items()}
            merged[step.condition] = merged.get(step.condition, 0) + 1
            groups = [group for group in groups if group not in alike] + [merged]
        return groups

    def between(self, since: int | None, until: int | None) -> Self:
        """Return the funnel of the entries in this period."""
        return replace(self, since=since, until=until)


def _overlap(condition: Condition, group: dict[Condition, int]) -> bool:
    return any(set(condition.kinds) & set(other.kinds) for other in group)


def unions(group: dict[Condition, int]) -> list[tuple[Condition, ...]]:
    """Return every choice of at least one of the conditions."""
    sizes = range(1, len(group) + 1)
    return [chosen for size in sizes for chosen in combinations(group, size)]
