"""Funnels as the fold knows them: conditions as bits, and the attempt that counts.

``docs/funnels.md`` is the specification. An event of a person is kept as a *mark*: its time, the
bits of the conditions that it meets, and a part of its id's hash by which a repeat is known. Marks
are in the order of events: by time, and where times are equal by arrival.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from processors.checks import Matches, compile_where
from processors.zones import Calendar
from schemas.playbook import FunnelSpec, PlaybookSpec
from schemas.playbook.funnels import condition_key
from schemas.records import Touchpoint

Mark = tuple[int, int, int]

LONGEST_DAY = 48 * 3_600_000
"""More than the length of any local day, clock changes included."""


class StepsByMask:
    """The steps after the first that an event may satisfy, by the conditions that it meets.

    They are counted from 0, the last one first: so an event satisfies no two. Worked out when they
    are first asked for: few of the many masks ever occur.
    """

    def __init__(self, bits: Sequence[int], inside: Sequence[int]) -> None:
        self._steps = [*enumerate(zip(bits, inside, strict=True))][:0:-1]
        self._known: dict[int, tuple[int, ...]] = {}

    def __getitem__(self, mask: int) -> tuple[int, ...]:
        """Return the steps whose condition is met, without the exclusions they lie within."""
        steps = self._known.get(mask)
        if steps is None:
            steps = self._known[mask] = tuple(
                step for step, (bit, barred) in self._steps if mask & bit and not mask & barred
            )
        return steps


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel of the playbook, compiled.

    Attributes:
        name: In the playbook.
        definition: Digest of what it counts.
        steps: Their names, in order.
        window: Milliseconds from the first step to the last, inclusive.
        first: Whether only a person's first entry counts.
        reach: How long an event can still matter, in milliseconds: lateness, window, and two days,
            which is more than any local day has.
        lateness: Of the playbook, in milliseconds.
        calendar: Its days.
        tests: By kind of event, the conditions that it may meet, each with its bit.
        bits: By step, the bit of its condition.
        enters: The bit of the first step if nothing else has it, else 0.
        ends: By step, the bits of exclusions that end an attempt which has come so far.
        excluded: All of these.
        taken_by: The steps that an event may satisfy.
    """

    name: str
    definition: str
    steps: tuple[str, ...]
    window: int
    first: bool
    reach: int
    lateness: int
    calendar: Calendar
    tests: Mapping[str, tuple[tuple[Matches | None, int], ...]]
    bits: tuple[int, ...]
    enters: int
    ends: tuple[int, ...]
    excluded: int
    taken_by: StepsByMask

    def mask(self, touchpoint: Touchpoint) -> int:
        """Return the bits of the conditions that the event meets."""
        mask = 0
        for matches, bit in self.tests.get(touchpoint.kind, ()):
            if matches is None or matches(touchpoint):
                mask |= bit
        return mask

    def attempt(
        self, marks: Sequence[Mark], begin: int, end: int, only: int | None = None
    ) -> tuple[int, ...]:
        """Return the places of the events of the best attempt that enters from begin until end.

        Of each step the latest entry that has come so far is held, with its events: entries only
        move forward, and a later one has more of its window left, so no other can become better.

        Args:
            marks: The person's, in order.
            begin: Time from which entries count.
            end: Time before which they do.
            only: Place of the one entry that counts; any, if it is None.
        """
        ends, window, first, excluded = self.ends, self.window, self.bits[0], self.excluded
        held: list[tuple[int, ...]] = [()] * len(ends)
        best: tuple[int, ...] = ()
        taken_by = self.taken_by
        for place in range(bisect_left(marks, (begin,)), len(marks)):
            at, mask, _ = marks[place]
            if at >= end + window:
                break
            fresh = 0
            for step in taken_by[mask]:
                before, known = held[step - 1], held[step]
                if not before:
                    continue
                # Of one entry the earliest event stays, unless this very event ends that attempt.
                newer = not known or known[0] < before[0] or mask & ends[step]
                if newer and at - marks[before[0]][0] <= window:
                    held[step] = taken = (*before, place)
                    fresh |= 1 << step
                    best = max(best, taken, key=_rank)
            if mask & first and at < end and only in (None, place):
                held[0] = (place,)
                fresh |= 1
                if len(best) <= 1:
                    best = held[0]
            if mask & excluded:
                held = [
                    () if mask & bit and not fresh >> step & 1 else held[step]
                    for step, bit in enumerate(ends)
                ]
        return best


def _rank(attempt: tuple[int, ...]) -> tuple[int, int]:
    return len(attempt), attempt[0] if attempt else -1


def compile_funnels(spec: PlaybookSpec, calendar: Calendar) -> dict[str, Funnel]:
    """Return the playbook's funnels by their definition; two that count the same are one."""
    compiled = (_compile(each, spec, calendar) for each in spec.funnels)
    return {each.definition: each for each in compiled}


def funnels_by_kind(funnels: Mapping[str, Funnel]) -> dict[str, tuple[Funnel, ...]]:
    """Return the funnels that an event of each kind may move."""
    found: dict[str, tuple[Funnel, ...]] = {}
    for funnel in funnels.values():
        for kind in funnel.tests:
            found[kind] = (*found.get(kind, ()), funnel)
    return found


def _compile(spec: FunnelSpec, playbook: PlaybookSpec, calendar: Calendar) -> Funnel:
    bits: dict[str, int] = {}
    tests: dict[str, tuple[tuple[Matches | None, int], ...]] = {}
    for each in (*spec.steps, *spec.exclusions):
        bit = 1 << len(bits)
        if bits.setdefault(condition_key(each), bit) == bit:
            for kind in each.event:
                tests[kind] = (*tests.get(kind, ()), (compile_where(each.where), bit))
    excluded = [(bits[condition_key(each)], *spec.between(each)) for each in spec.exclusions]
    used = [bits[condition_key(each)] for each in (*spec.steps, *spec.exclusions)]
    count = range(1, len(spec.steps) + 1)
    inside = [
        _union(bit for bit, after, before in excluded if after < step < before) for step in count
    ]
    return Funnel(
        name=spec.name,
        definition=spec.definition(playbook.timezone, playbook.lateness),
        steps=tuple(step.name for step in spec.steps),
        window=spec.window,
        first=spec.entry == "first",
        reach=playbook.lateness + spec.window + LONGEST_DAY,
        lateness=playbook.lateness,
        calendar=calendar,
        tests=tests,
        bits=tuple(used[: len(spec.steps)]),
        enters=used[0] if used[0] not in used[1:] else 0,
        ends=tuple(
            _union(bit for bit, after, before in excluded if after <= step < before)
            for step in count
        ),
        excluded=_union(bit for bit, _, _ in excluded),
        taken_by=StepsByMask(used[: len(spec.steps)], inside),
    )


def _union(bits: Iterable[int]) -> int:
    return reduce(or_, bits, 0)
