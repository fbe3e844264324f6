"""Conditions on the past, answered from windows: counts, sums, pauses and sequences.

The limit itself still belongs to what was: "within 7d" holds at exactly 7 days and no longer a
millisecond after; "not done for 7d" begins to hold a millisecond after 7 days.
"""

from bisect import bisect_left

from processors.checks import Matches, text
from processors.logic import Condition, never, triggered
from processors.windows import EVER, Trail, expiry, oldest_bucket, tally, trail
from schemas.playbook.base import spell_duration
from schemas.playbook.conditions import CountSpec, NotDoneSpec, PastSpec, SequenceSpec, SumSpec
from schemas.profile import Profile
from schemas.records import Touchpoint

SEQUENCE_KEPT = 16
"""Of both events of a sequence the latest so many are looked at."""


def count(spec: CountSpec) -> Condition:
    """Compile a count of events, exact to the millisecond."""
    least = 0 if spec.at_least is None else spec.at_least
    most = EVER if spec.at_most is None else spec.at_most
    within = EVER if spec.within is None else spec.within
    window = trail(spec, kept=max(least, 0 if spec.at_most is None else spec.at_most + 1))
    key, label = window.key, _label("count", spec, spec.within)
    # As events leave the window, the number falls one by one: to the most, then below the least.
    bounds = tuple(left for left in (most, least - 1) if 0 <= left < EVER)

    def counted(profile: Profile, now: int) -> int:
        times = profile.trails.get(key, ())
        return sum(now - at <= within for at in times)

    def enough(profile: Profile, _touchpoint: Touchpoint | None, now: int) -> bool:
        times = profile.trails.get(key, ())
        return len(times) >= least and now - times[-least] <= within

    def turns(profile: Profile, now: int) -> int | None:
        times = profile.trails.get(key, ())
        for left in bounds:
            if left < len(times) and now - times[-left - 1] <= within:
                return times[-left - 1] + within + 1
        return None

    return Condition(
        holds=enough
        if spec.at_most is None
        else lambda profile, _touchpoint, now: least <= counted(profile, now) <= most,
        values=lambda profile, _touchpoint, now: {label: str(counted(profile, now))},
        turns=turns if spec.within is not None else never,
        needs=frozenset({window}),
        triggers=triggered(window.kinds, window.matches),
    )


def total(spec: SumSpec) -> Condition:
    """Compile a sum over events, in the buckets of its tally."""
    least = -EVER if spec.at_least is None else spec.at_least
    most = EVER if spec.at_most is None else spec.at_most
    window = tally(spec, spec.field, EVER if spec.within is None else spec.within)
    key, span, grain = window.key, window.span, window.grain
    label = _label(f"sum of {spec.field}", spec, spec.within)

    def summed(profile: Profile, now: int) -> int:
        buckets = profile.tallies.get(key)
        if buckets is None:
            return 0
        oldest = oldest_bucket(span, grain, now)
        return sum([total for bucket, total in buckets.items() if bucket >= oldest])

    def turns(profile: Profile, now: int) -> int | None:
        buckets = profile.tallies.get(key)
        if buckets is None:
            return None
        oldest = oldest_bucket(span, grain, now)
        counted = sorted([bucket for bucket in buckets if bucket >= oldest])
        left = sum([buckets[bucket] for bucket in counted])
        holds = least <= left <= most
        for bucket in counted:
            left -= buckets[bucket]
            if (least <= left <= most) != holds:
                return expiry(bucket, span, grain)
        return None

    return Condition(
        holds=lambda profile, _touchpoint, now: least <= summed(profile, now) <= most,
        values=lambda profile, _touchpoint, now: {label: str(summed(profile, now))},
        turns=turns if spec.within is not None else never,
        needs=frozenset({window}),
        triggers=triggered(window.kinds, window.matches),
    )


def not_done(spec: NotDoneSpec) -> Condition:
    """Compile a pause: no such event for longer than this."""
    window, pause = trail(spec, kept=1), spec.for_
    key, label = window.key, _label("last", spec)

    def last(profile: Profile) -> int | None:
        times = profile.trails.get(key)
        return times[-1] if times else profile.first_seen_at

    def holds(profile: Profile, _touchpoint: Touchpoint | None, now: int) -> bool:
        at = last(profile)
        return at is not None and now - at > pause

    def turns(profile: Profile, now: int) -> int | None:
        at = last(profile)
        return None if at is None or now - at > pause else at + pause + 1

    return Condition(
        holds=holds,
        values=lambda profile, _touchpoint, _now: {label: text(last(profile))},
        turns=turns,
        needs=frozenset({window}),
        triggers=triggered(window.kinds, window.matches),
    )


def sequence(spec: SequenceSpec) -> Condition:
    """Compile "this, then that within a time", over the latest occurrences of both."""
    first, then = trail(spec.first, SEQUENCE_KEPT), trail(spec.then, SEQUENCE_KEPT)
    within = spec.within
    label = f"{_label('', spec.first)} then {_label('', spec.then)}"

    def latest(profile: Profile) -> int | None:
        """Return when the latest second event came within its time after a first one."""
        starts = profile.trails.get(first.key, ())
        ends = profile.trails.get(then.key, ())
        for end in reversed(ends):
            before = bisect_left(starts, end)  # the nearest start decides
            if before and end - starts[before - 1] <= within:
                return end
        return None

    return Condition(
        holds=lambda profile, _touchpoint, _now: latest(profile) is not None,
        values=lambda profile, _touchpoint, _now: {label: text(latest(profile))},
        needs=frozenset({first, then}),
        triggers=_both(first, then),
    )


def _both(first: Trail, then: Trail) -> dict[str, tuple[Matches | None, ...]]:
    """Return the events that may change a sequence."""
    starts, ends = triggered(first.kinds, first.matches), triggered(then.kinds, then.matches)
    return {kind: starts.get(kind, ()) + ends.get(kind, ()) for kind in sorted({*starts, *ends})}


def _label(what: str, spec: PastSpec, within: int | None = None) -> str:
    """Return the name of a reading, such as ``count page_viewed category=course within 7d``."""
    checks = [
        f"{name}={value}" if check == "equals" else f"{name} {check.rstrip('_')} {value}"
        for name, each in spec.where.items()
        for check, value in each.model_dump(exclude_unset=True).items()
    ]
    ending = [] if within is None else [f"within {spell_duration(within)}"]
    return " ".join([*([what] if what else []), "|".join(spec.event), *checks, *ending])
