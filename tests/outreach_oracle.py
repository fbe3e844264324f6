"""What an action may not be: consent, quiet hours, caps and holdout, read from the plain YAML.

It sees the log, the actions and the rules as they were written, and shares no code with the fold.
Local clocks come from ``zoneinfo`` here too, dates by hand.
"""

from datetime import datetime, time, timedelta
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

from histories import known
from strategies import DAY, HOUR, Log
from worlds import ZONES

from schemas.records import Action, Touchpoint

DURATIONS = {"45m": HOUR * 3 // 4}
DURATIONS |= {f"{n}h": n * HOUR for n in range(31)} | {f"{n}d": n * DAY for n in range(8)}
DURATIONS["0s"] = 0


def moments(log: Log, user_id: str, at: int) -> list[list[Touchpoint]]:
    """Return what had happened to a person at a time.

    Two answers where an event came at that very instant: before it and after it.
    """
    own = [each for each in known(log) if each[0].user_id == user_id]
    return [
        [touchpoint for touchpoint, came in own if came < at],
        [touchpoint for touchpoint, came in own if came <= at],
    ]


def zone_in(past: list[Touchpoint], default: str) -> ZoneInfo:
    """Return the zone that the person told last."""
    told = [
        event
        for event in past
        if event.kind == "attribute_set" and event.payload["name"] == "timezone"
    ]
    last = max(told, key=lambda event: event.occurred_at, default=None)
    name = last.payload["value"] if last else default
    return ZoneInfo(name if name in ZONES else default)


def shown(at: int, zone: ZoneInfo) -> datetime:
    """Return what the wall clock shows."""
    return datetime.fromtimestamp(at / 1000, zone).replace(tzinfo=None)


def shows_at(wanted: datetime, zone: ZoneInfo) -> int:
    """Return the first instant that shows this; for a time that is skipped, past it by the gap.

    Tried with the offsets of the days around: no ``fold``, and nothing that knows of one.
    """
    utc = round(wanted.timestamp() * 1000) if wanted.tzinfo else _utc(wanted)
    offsets = [_utc(shown(utc + days * DAY, zone)) - utc - days * DAY for days in (-1, 1)]
    right = [utc - offset for offset in offsets if shown(utc - offset, zone) == wanted]
    return min(right) if right else utc - offsets[0]


def _utc(wall: datetime) -> int:
    return (wall - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001 - a wall clock


def birthday_in(past: list[Touchpoint]) -> tuple[int, int] | None:
    """Return the month and day that the person told last; None if it is no day of the calendar."""
    told = [
        event
        for event in past
        if event.kind == "attribute_set" and event.payload["name"] == "birthday"
    ]
    last = max(told, key=lambda event: event.occurred_at, default=None)
    value = str(last.payload["value"]) if last else ""
    try:
        leap = datetime.strptime(f"2000-{value[-5:]}", "%Y-%m-%d").date()  # noqa: DTZ007 - no time
    except ValueError:
        return None
    return leap.month, leap.day


def anniversary(
    birthday: tuple[int, int], clock: time, after: int, zone: ZoneInfo, *, later: bool
) -> int:
    """Return the first birthday from a time on, or only ``later``, tried day by day."""
    day = shown(after, zone).date() - timedelta(days=1)
    while True:
        day += timedelta(days=1)
        yesterday = day - timedelta(days=1)
        leapt = birthday == (2, 29) and (yesterday.month, yesterday.day) == (2, 28)
        if leapt or (day.month, day.day) == birthday:
            at = shows_at(datetime.combine(day, clock), zone)
            if at > after or (at == after and not later):
                return at


def wanted_at(
    step: dict[str, Any], opened_at: int, arrived_at: int, past: list[Touchpoint], default: str
) -> set[int]:
    """Return when the playbook wants a step, by the table of ``docs/playbook.md``.

    Two answers where a yearly date is reached at the instant of one: there it depends on the way.
    """
    zone = zone_in(past, default)
    if isinstance(step.get("date"), dict):
        birthday, clock = birthday_in(past), time.fromisoformat(step["at"])
        if birthday is None:
            return set()
        return {anniversary(birthday, clock, arrived_at, zone, later=n) for n in (False, True)}
    return {_wanted_at(step, opened_at, arrived_at, zone)}


def _wanted_at(step: dict[str, Any], opened_at: int, arrived_at: int, zone: ZoneInfo) -> int:
    if "wait" in step:
        return arrived_at + DURATIONS[step["wait"]["timeout"]]
    if "after" in step:
        return opened_at + DURATIONS[step["after"]]
    base = arrived_at + DURATIONS[step.get("delay", "0s")]
    if "at" not in step:
        return base
    clock = time.fromisoformat(step["at"])
    if "date" in step:
        return shows_at(datetime.combine(datetime.fromisoformat(step["date"]), clock), zone)
    if "days" in step:
        day = shown(opened_at, zone).date() + timedelta(days=step["days"])
        return shows_at(datetime.combine(day, clock), zone)
    days = (shown(base, zone).date() + timedelta(days=n) for n in range(3))
    return next(at for day in days if (at := shows_at(datetime.combine(day, clock), zone)) >= base)


def held_out(rules: dict[str, Any], user_id: str) -> bool:
    """Tell whether the person is in the holdout group: a keyed BLAKE2b, by ten-thousandths."""
    digest = blake2b(user_id.encode(), digest_size=8, key=rules["holdout"]["salt"].encode())
    return int(digest.hexdigest(), 16) % 10_000 < rules["holdout"]["percent"] * 100


def allowed(rules: dict[str, Any], past: list[Touchpoint], action: Action) -> bool:
    """Tell whether the person's words, or the policy without any, permit the action."""
    words = [
        event
        for event in past
        if event.kind == "consent_changed"
        and event.payload["purpose"] == action.purpose
        and event.payload["on_channel"] in {action.channel, "*"}
    ]
    last = max(words, key=lambda event: event.occurred_at, default=None)
    return last.payload["granted"] if last else rules["consent"][action.purpose] == "opt_out"


def noisy(rules: dict[str, Any], at: int, zone: ZoneInfo, sop: dict[str, Any], family: str) -> bool:
    """Tell whether an action of this SOP and family is outside the quiet hours."""
    quiet = sop.get("quiet_hours", rules.get("quiet_hours"))
    if quiet is None or sop.get("at_any_hour") or family != "message":
        return True
    clock = shown(at, zone).strftime("%H:%M")
    first, end = quiet["from"], quiet["to"]
    return not (first <= clock < end if first < end else clock >= first or clock < end)


def fits(cap: dict[str, Any], zone: ZoneInfo, action: Action, earlier: list[Action]) -> bool:
    """Tell whether the cap had room for the action after the earlier ones."""
    if action.family not in cap["families"] or action.channel not in (
        cap["channels"] or [action.channel]
    ):
        return True
    alike = [
        other
        for other in earlier
        if other.family in cap["families"]
        and other.channel in (cap["channels"] or [other.channel])
        and all(getattr(other, name) == getattr(action, name) for name in cap["each"])
    ]
    if "within" in cap:
        since = action.requested_at - DURATIONS[cap["within"]]
        return sum(other.requested_at > since for other in alike) < cap["at_most"]

    def period(at: int) -> object:
        day = shown(at, zone).date()
        if cap["per"] == "month":
            return day.year, day.month
        return day - timedelta(days=day.weekday() if cap["per"] == "week" else 0)

    now = period(action.requested_at)
    return sum(period(other.requested_at) == now for other in alike) < cap["at_most"]
