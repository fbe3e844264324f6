"""Conditions and their logic: what the fold asks, however it was composed."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from processors.checks import Matches
from processors.windows import Window
from schemas.profile import Profile
from schemas.records import Touchpoint

Holds = Callable[[Profile, Touchpoint | None, int], bool]
Values = Callable[[Profile, Touchpoint | None, int], dict[str, str]]
Turns = Callable[[Profile, int], int | None]


def never(_profile: Profile, _now: int) -> int | None:
    """Say that the clock alone changes nothing."""
    return None


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition.

    Attributes:
        holds: Whether it holds for the profile, the event at hand (None for a timer) and now.
        values: What it read, for facts: a text by the name of each reading.
        turns: The first instant after now at which the clock alone may change it; None if never.
            It may be early, never late.
        needs: The windows that it looks into.
        triggers: The events that may change it, but for what is derived from them: by kind, what
            their fields must pass; None for nothing.
        reads: What it reads of what is derived: ``tag:<name>``, ``stage:<machine>``, ``segment``.
        asks_event: Whether it looks at the event at hand, and so holds for that event only.
        denies_event: Whether it may hold because the event at hand is another: any event concerns
            it then.
    """

    holds: Holds
    values: Values
    turns: Turns = never
    needs: frozenset[Window] = frozenset()
    triggers: Mapping[str, tuple[Matches | None, ...]] = field(default_factory=dict)
    reads: frozenset[str] = frozenset()
    asks_event: bool = False
    denies_event: bool = False

    def concerns(self, touchpoint: Touchpoint | None, changed: AbstractSet[str]) -> bool:
        """Tell whether the event, or what it ``changed`` of what is derived, may change it.

        Without an event the clock is what happens: it concerns every condition that it may turn.
        """
        if not self.reads.isdisjoint(changed):
            return True
        if touchpoint is None:
            return self.turns is not never or self.denies_event
        for matches in self.triggers.get(touchpoint.kind, ()):
            if matches is None or matches(touchpoint):
                return True
        return self.denies_event


def triggered(
    kinds: Iterable[str], matches: Matches | None = None
) -> dict[str, tuple[Matches | None, ...]]:
    """Return the triggers of a condition that such events may change."""
    return dict.fromkeys(sorted(kinds), (matches,))


def earliest(clocks: Iterable[Turns]) -> Turns:
    """Return the clock that turns when the first of these does; those that never do are left out.

    It is asked for each rule that an event concerns, so it is no more than the one that is left.
    """
    asked = tuple(clock for clock in clocks if clock is not never)
    if len(asked) <= 1:
        return asked[0] if asked else never

    def turns(profile: Profile, now: int) -> int | None:
        first = None
        for clock in asked:
            due = clock(profile, now)
            if due is not None and (first is None or due < first):
                first = due
        return first

    return turns


def all_of(parts: list[Condition]) -> Condition:
    """Return the condition that holds when all its parts do."""
    if len(parts) == 1:
        return parts[0]
    first, *others = (part.holds for part in parts)

    def holds(profile: Profile, touchpoint: Touchpoint | None, now: int) -> bool:
        if not first(profile, touchpoint, now):
            return False
        for test in others:  # noqa: SIM110 - all() would cost a generator each time
            if not test(profile, touchpoint, now):
                return False
        return True

    return _composed(parts, holds)


def any_of(parts: list[Condition]) -> Condition:
    """Return the condition that holds when one of its parts does."""
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.holds for part in parts)

    def holds(profile: Profile, touchpoint: Touchpoint | None, now: int) -> bool:
        for test in tests:  # noqa: SIM110 - any() would cost a generator each time
            if test(profile, touchpoint, now):
                return True
        return False

    return _composed(parts, holds)


def negated(part: Condition) -> Condition:
    """Return the condition that holds when this one does not."""
    return replace(
        part,
        holds=lambda profile, touchpoint, now: not part.holds(profile, touchpoint, now),
        denies_event=part.asks_event,
    )


def _composed(parts: list[Condition], holds: Holds) -> Condition:
    triggers: dict[str, tuple[Matches | None, ...]] = {}
    for part in parts:
        for kind, tests in part.triggers.items():
            triggers[kind] = (*triggers.get(kind, ()), *tests)

    def values(profile: Profile, touchpoint: Touchpoint | None, now: int) -> dict[str, str]:
        read: dict[str, str] = {}
        for part in parts:
            read |= part.values(profile, touchpoint, now)
        return read

    return Condition(
        holds=holds,
        values=values,
        turns=earliest(part.turns for part in parts),
        needs=frozenset().union(*(part.needs for part in parts)),
        triggers=triggers,
        reads=frozenset().union(*(part.reads for part in parts)),
        asks_event=any(part.asks_event for part in parts),
        denies_event=any(part.denies_event for part in parts),
    )
