"""The volume of actions by day, beside the caps that apply to it: the sums of a backtest."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from processors.limits import Cap, still_counted
from processors.playbook import Playbook
from processors.zones import local
from schemas.playbook.base import spell_duration
from schemas.profile import Sent
from schemas.records import Action, Fact
from schemas.timezones import load_zone

HELD_BACK = {"action_suppressed": "dropped", "action_deferred": "deferred"}


class Way(NamedTuple):
    """By which way actions went out on a day."""

    day: str
    family: str
    channel: str
    sender: str


class Pressure(NamedTuple):
    """What a cap did on a day.

    Attributes:
        people: People who were at the cap at some time of the day.
        dropped: Actions that it suppressed.
        deferred: Times that it put an action off.
    """

    people: int = 0
    dropped: int = 0
    deferred: int = 0


def day_of(at: int, zone: ZoneInfo) -> str:
    """Return the local day of an instant: ``2026-05-01``."""
    return local(at, zone).date().isoformat()


def is_held_back(fact: Fact) -> bool:
    """Tell whether a fact says that an action was dropped or put off: those that `by_cap` reads."""
    return fact.kind in HELD_BACK


def by_way(actions: list[Action], playbook: Playbook) -> Counter[Way]:
    """Count the actions by day of request, family, channel and sender."""
    zone = load_zone(playbook.outreach.zone)
    return Counter(
        Way(day_of(each.requested_at, zone), each.family, each.channel, each.sender)
        for each in actions
    )


def by_cap(
    actions: list[Action], facts: list[Fact], playbook: Playbook, until: int
) -> dict[tuple[str, str], Pressure]:
    """Return what each cap did on each day on which it did anything, by day and cap.

    Days are those of the playbook's zone, for people who live elsewhere, too.

    Args:
        actions: What was requested, in the order of time.
        facts: What was said about it.
        playbook: The rules.
        until: End of the log: who is at a cap then is counted up to that day.
    """
    zone = load_zone(playbook.outreach.zone)
    full = {
        (day, cap, user)
        for cap, user, day in _full_days(actions, playbook.outreach.caps, zone, until)
    }
    people = Counter((day, cap) for day, cap, _ in full)
    held = {how: Counter[tuple[str, str]]() for how in HELD_BACK.values()}
    for fact in facts:
        how, cap = HELD_BACK.get(fact.kind), fact.values.get("cap")
        if how is not None and cap is not None:
            held[how][day_of(fact.at, zone), cap] += 1
    return {
        at: Pressure(people[at], held["dropped"][at], held["deferred"][at])
        for at in sorted(people | held["dropped"] | held["deferred"])
    }


def caps_on(way: Way, playbook: Playbook) -> list[str]:
    """Return the names of the caps that count what goes this way."""
    sent = Sent(0, way.family, way.channel, way.sender)
    return [cap.name for cap in playbook.outreach.caps if cap.counts(sent)]


def spell_cap(cap: Cap) -> str:
    """Return a cap's limit in words: ``3 in 7d``, ``1 a day and sender``."""
    window = f"in {spell_duration(cap.within)}" if cap.within else f"a {cap.period}"
    each = "".join(f" and {key}" for key in sorted(cap.each))
    return f"{cap.at_most} {window}{each}"


def _full_days(
    actions: list[Action], caps: tuple[Cap, ...], zone: ZoneInfo, until: int
) -> Iterator[tuple[str, str, str]]:
    """Yield cap, person and day, for each day on which the person was at the cap."""
    ledgers: dict[str, tuple[Sent, ...]] = {}
    for action in actions:
        sent = Sent(action.requested_at, action.family, action.channel, action.sender)
        ledger = still_counted(ledgers.get(action.user_id, ()), caps, sent.at)
        ledgers[action.user_id] = ledger = (*ledger, sent)
        for cap in caps:
            room_at = cap.full_until(ledger, sent, zone) if cap.counts(sent) else None
            if room_at is not None:
                for day in _days(sent.at, min(room_at - 1, max(until, sent.at)), zone):
                    yield cap.name, action.user_id, day


def _days(first: int, last: int, zone: ZoneInfo) -> Iterator[str]:
    day, end = local(first, zone).date(), local(last, zone).date()
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)
