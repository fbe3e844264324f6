"""Windows: the bounded memory of past events that conditions look into.

A *trail* keeps the times of the latest events that match: enough for counts, for "not done for N
days" and for sequences, all exact to the millisecond. A *tally* keeps sums of an integer field in
buckets of time. Both hold the latest by business time, so neither the order of arrival nor the
length of the history matters: what is kept is a function of the set of events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from processors.checks import Matches, compile_where
from schemas.playbook.conditions import PastSpec
from schemas.profile import Profile
from schemas.records import Touchpoint

HOUR, DAY = 3_600_000, 86_400_000
EVER = 1 << 62
"""A span, and the grain of its buckets, beyond all times: one bucket holds everything."""
ADDEND_AT_MOST = 10**13
"""The most that one event adds to a sum: a million of them still fit into 64 bits."""
AHEAD_AT_MOST = DAY
"""How far an event's time may be ahead of the stream clock; further is no fault of clocks."""
FUTURE_BUCKETS = AHEAD_AT_MOST // HOUR + 1
"""Room for events whose time is ahead of the stream clock, and for the bucket that is open."""
_GRAINS = ((3 * DAY, HOUR), (92 * DAY, DAY), (800 * DAY, 7 * DAY))


@dataclass(frozen=True, slots=True)
class Trail:
    """Keeps the times of the latest ``kept`` events of these kinds that match."""

    key: str
    kinds: frozenset[str]
    matches: Matches | None
    kept: int

    def grown(self, times: tuple[int, ...], at: int) -> tuple[int, ...]:
        """Return the times with one more among them; always sorted."""
        if not times or at >= times[-1]:
            return (*times, at)[-self.kept :]
        return tuple(sorted((*times, at)))[-self.kept :]


@dataclass(frozen=True, slots=True)
class Tally:
    """Keeps sums of a field by buckets of ``grain`` milliseconds, for a window of ``span``.

    An event counts while any instant of its bucket is within ``span`` of now: a window is never
    shorter than it says, and at most one bucket longer. Buckets begin at 1970 UTC.
    """

    key: str
    kinds: frozenset[str]
    matches: Matches | None
    field: str
    span: int
    grain: int

    def grown(self, buckets: dict[int, int], touchpoint: Touchpoint, now: int) -> dict[int, int]:
        """Return the buckets with the event's value added."""
        amount = touchpoint.payload[self.field]
        amount = max(-ADDEND_AT_MOST, min(amount, ADDEND_AT_MOST))
        return add(buckets, touchpoint.occurred_at, amount, self.span, self.grain, now)


Window = Trail | Tally


def trail(spec: PastSpec, kept: int) -> Trail:
    """Return the trail of these events."""
    return Trail(_key("trail", spec), frozenset(spec.event), compile_where(spec.where), kept)


def tally(spec: PastSpec, field: str, span: int) -> Tally:
    """Return the tally of a field of these events."""
    grain = grain_of(span)
    key = _key("tally", spec, field, str(span))
    return Tally(key, frozenset(spec.event), compile_where(spec.where), field, span, grain)


def by_kind(needed: Iterable[Window]) -> dict[str, tuple[Window, ...]]:
    """Return the windows by the kind of event that grows them; trails of the same are shared."""
    merged: dict[str, Window] = {}
    for window in needed:
        known = merged.setdefault(window.key, window)
        if isinstance(known, Trail) and isinstance(window, Trail) and window.kept > known.kept:
            merged[window.key] = window
    windows: dict[str, tuple[Window, ...]] = {}
    for key in sorted(merged):
        for kind in merged[key].kinds:
            windows[kind] = (*windows.get(kind, ()), merged[key])
    return windows


def record(profile: Profile, touchpoint: Touchpoint, now: int, windows: Iterable[Window]) -> None:
    """Put an event into the windows that it matches; the profile is a draft's own."""
    trails, tallies = profile.trails, profile.tallies
    for window in windows:
        if window.matches is not None and not window.matches(touchpoint):
            continue
        if isinstance(window, Trail):
            if trails is profile.trails:
                trails = trails.copy()
            known = trails.get(window.key, ())
            trails[window.key] = window.grown(known, touchpoint.occurred_at)
        else:
            if tallies is profile.tallies:
                tallies = tallies.copy()
            tallies[window.key] = window.grown(tallies.get(window.key, {}), touchpoint, now)
    profile.trails, profile.tallies = trails, tallies


def grain_of(span: int) -> int:
    """Return the length of a bucket: hours up to 3 days, days up to 92 days, weeks up to 800."""
    return next((grain for longest, grain in _GRAINS if span <= longest), EVER)


def add(
    buckets: Mapping[int, int], at: int, amount: int, span: int, grain: int, now: int
) -> dict[int, int]:
    """Return the buckets with ``amount`` added at ``at``: expired ones go, the latest stay."""
    bucket, oldest = at // grain, oldest_bucket(span, grain, now)
    kept = {index: total for index, total in buckets.items() if index >= oldest}
    if bucket >= oldest:
        kept[bucket] = kept.get(bucket, 0) + amount
    for index in sorted(kept)[: -(span // grain + FUTURE_BUCKETS)]:
        del kept[index]
    return kept


def oldest_bucket(span: int, grain: int, now: int) -> int:
    """Return the index of the oldest bucket with an instant within ``span`` of ``now``."""
    return (now - span) // grain


def expiry(bucket: int, span: int, grain: int) -> int:
    """Return the first instant at which the bucket is outside the window."""
    return (bucket + 1) * grain + span


def _key(*parts: object) -> str:
    """Return a short name that stays the same as long as the rule does."""
    framed = "\n".join(
        part.model_dump_json(by_alias=True, exclude_none=True, include={"event", "where"})
        if isinstance(part, PastSpec)
        else str(part)
        for part in parts
    )
    return blake2b(framed.encode(), digest_size=6).hexdigest()
