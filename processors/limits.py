"""Limits of reaching out: quiet hours and frequency caps, against the ledger in the profile.

The ledger holds the actions that some cap still counts, so its size is bounded by the caps: at most
``at_most`` for each cap and key. Should senders be so many that ``LEDGER_AT_MOST`` is reached, no
further action is requested until there is room: a limit is never guessed.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from processors.zones import date_of, instant, minute_of_day
from schemas.profile import Sent

LEDGER_AT_MOST = 256
_MINUTE = 60_000
_DAY = 86_400_000
# Two days more than the period has: more than clocks that are set back add to it.
_LONGEST = {"day": 3 * _DAY, "week": 9 * _DAY, "month": 33 * _DAY}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours without actions, from minute ``start`` of the local day to before minute ``end``."""

    start: int
    end: int
    defer: bool
    families: frozenset[str]
    rule: str

    def until(self, now: int, zone: ZoneInfo) -> int | None:
        """Return the first time after ``now`` that is not quiet; None if it is not quiet now."""
        if not self._silent(now, zone):
            return None
        today = date_of(now, zone)
        ends = (end for days in (0, 1, 2) for end in self._ends(today + timedelta(days=days), zone))
        return next(end for end in ends if end > now and not self._silent(end, zone))

    def _silent(self, at: int, zone: ZoneInfo) -> bool:
        minute = minute_of_day(at, zone)
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def _ends(self, day: date, zone: ZoneInfo) -> list[int]:
        """Return when the quiet may end on a day, in order.

        Where clocks change over its end or its start, both have two readings, with the change in
        between: it may be over at any minute from one to the other.
        """
        found: set[int] = set()
        for minute in (self.start, self.end):
            first, last = sorted(instant(day, minute, zone, fold=fold) for fold in (0, 1))
            found.update(range(first, last + 1, _MINUTE))
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many actions: ``within`` a rolling time, or (0) in a calendar ``period``."""

    name: str
    at_most: int
    within: int
    period: str
    each: frozenset[str]
    channels: frozenset[str]
    families: frozenset[str]
    defer: bool

    def counts(self, action: Sent) -> bool:
        """Tell whether the cap is about this kind of action at all."""
        return action.family in self.families and (
            not self.channels or action.channel in self.channels
        )

    def full_until(self, ledger: Iterable[Sent], wanted: Sent, zone: ZoneInfo) -> int | None:
        """Return when there may be room for the action; None if there is room now."""
        alike = [sent for sent in ledger if self._alike(sent, wanted)]
        times = sorted(sent.at for sent in alike if self._open(sent, wanted.at, zone))
        if len(times) < self.at_most:
            return None
        if self.within:
            return times[-self.at_most] + self.within
        return instant(_next_period(date_of(wanted.at, zone), self.period), 0, zone)

    def keeps(self, sent: Sent, now: int) -> bool:
        """Tell whether an action of the ledger may still count, in whatever zone is next."""
        return self.counts(sent) and sent.at > now - (self.within or _LONGEST[self.period])

    def _alike(self, sent: Sent, wanted: Sent) -> bool:
        return (
            self.counts(sent)
            and ("channel" not in self.each or sent.channel == wanted.channel)
            and ("sender" not in self.each or sent.sender == wanted.sender)
        )

    def _open(self, sent: Sent, now: int, zone: ZoneInfo) -> bool:
        if self.within:
            return sent.at > now - self.within
        # A clock that is set back may put the past into a later day than now: it counts as well.
        days = date_of(sent.at, zone), date_of(now, zone)
        return _period(days[0], self.period) >= _period(days[1], self.period)


def still_counted(ledger: Iterable[Sent], caps: Collection[Cap], now: int) -> tuple[Sent, ...]:
    """Return the actions that a cap may still count."""
    return tuple(sent for sent in ledger if any(cap.keeps(sent, now) for cap in caps))


def _period(day: date, period: str) -> date:
    """Return the first day of the day, week (from Monday) or month."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _next_period(day: date, period: str) -> date:
    first = _period(day, period)
    days = {"day": 1, "week": 7, "month": 31}[period]
    return _period(first + timedelta(days=days), period)
