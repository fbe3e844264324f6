"""Funnels in plain Python, straight from docs/funnels.md: every choice of events is tried."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations
from random import Random
from typing import Any, NamedTuple

from schemas.records import Touchpoint
from sinks.tables import TOUCHPOINTS

KINDS = ("page_viewed", "friend_added", "order_paid", "group_left", "action_reported")


class Event(NamedTuple):
    """An event of one person. The order of the fields is the order of events."""

    at: int
    partition: int
    offset: int
    event_id: str
    kind: str
    source: str
    amount: int
    page: str


Test = Callable[[Event], bool]


@dataclass(frozen=True)
class Rules:
    """A funnel, its conditions as functions. An exclusion is a test and two steps from 1."""

    steps: tuple[Test, ...]
    window: int
    order: str = "ordered"
    first_only: bool = False
    exclusions: tuple[tuple[Test, int, int], ...] = ()
    since: int = -(10**9)
    until: int = 10**15


def histories(random: Random, people: int, longest: int) -> dict[str, list[Event]]:
    """Return people with few times, kinds and sources, so that ties and repeats are common."""
    return {f"u{person}": _history(random, person, longest) for person in range(people)}


def _history(random: Random, person: int, longest: int) -> list[Event]:
    events: list[Event] = []
    for number in range(random.randrange(longest + 1)):
        partition, offset = random.randrange(2), number * 100_000 + person
        if events and random.random() < 0.15:  # published twice
            again = random.choice(events)
            events.append(again._replace(partition=partition, offset=offset))
            continue
        events.append(
            Event(
                random.randrange(12),
                partition,
                offset,
                f"e{number}",
                random.choice(KINDS[:3] if random.random() < 0.8 else KINDS),
                random.choice(("", "", "douyin", "qr")),
                random.choice((50, 150)),
                random.choice("xy"),
            )
        )
    return events


def rows(people: dict[str, list[Event]]) -> list[tuple[Any, ...]]:
    """Return the rows of ``touchpoints``."""
    return [
        TOUCHPOINTS.row(
            ("touchpoints", event.partition, event.offset, 0),
            Touchpoint(
                event.event_id,
                user_id,
                event.at,
                event.kind,
                _payload(event),
                source=event.source,
            ),
        )
        for user_id, events in people.items()
        for event in events
    ]


def _payload(event: Event) -> dict[str, Any]:
    match event.kind:
        case "order_paid":
            return {"order_id": "o", "amount_minor": event.amount, "currency": "CNY"}
        case "page_viewed":
            return {"page": event.page, "duration_ms": event.amount}
    return {}


def distinct(events: Sequence[Event]) -> list[Event]:
    """Return the events in order: of each event id the first in the log."""
    kept: dict[str, Event] = {}
    for event in sorted(events, key=lambda each: (each.partition, each.offset)):
        kept.setdefault(event.event_id, event)
    return sorted(kept.values())


def path(events: Sequence[Event], rules: Rules) -> list[Event]:
    """Return the events of the attempt that counts; none where the person did not enter."""
    own = distinct(events)
    opens = (lambda e: any(t(e) for t in rules.steps)) if rules.order == "any" else rules.steps[0]
    entries = [event for event in own if opens(event)]
    entries = entries[:1] if rules.first_only else entries
    allowed = {event for event in entries if rules.since <= event.at < rules.until}
    if rules.order == "any":
        return max(
            (_best_any(own, entry, rules) for entry in sorted(allowed)), key=_rank, default=[]
        )
    found = [
        list(chosen)
        for size in range(1, len(rules.steps) + 1)
        for chosen in _choices(own, rules, size)
        if chosen[0] in allowed and _holds(own, chosen, rules)
    ]
    if not found:
        return []
    longest = max(map(len, found))
    latest = max(chosen[0] for chosen in found if len(chosen) == longest)
    best = [chosen for chosen in found if len(chosen) == longest and chosen[0] == latest]
    return min(best, key=lambda chosen: chosen[::-1])


def _rank(chosen: list[Event]) -> tuple[int, Event]:
    return len(chosen), chosen[0]


def _choices(own: list[Event], rules: Rules, size: int) -> Iterator[tuple[Event, ...]]:
    if rules.order == "ordered":
        yield from combinations(own, size)
        return
    touches = [e for e in own if e.kind != "action_reported" or any(t(e) for t in rules.steps)]
    yield from (tuple(touches[i : i + size]) for i in range(len(touches) - size + 1))


def _holds(own: list[Event], chosen: tuple[Event, ...], rules: Rules) -> bool:
    if not all(test(event) for test, event in zip(rules.steps, chosen, strict=False)):
        return False
    if chosen[-1].at - chosen[0].at > rules.window:
        return False
    return not any(
        test(event)
        and chosen[after - 1] < event
        and (event < chosen[before - 1] if len(chosen) >= before else event <= chosen[-1])
        for test, after, before in rules.exclusions
        if len(chosen) > after
        for event in own
    )


def _best_any(own: list[Event], entry: Event, rules: Rules) -> list[Event]:
    """Return, for 1, 2, ... steps from this entry, the earliest event by which they can be done."""
    later = [e for e in own if e > entry and e.at - entry.at <= rules.window]
    ends = [e for e in own if e > entry and any(test(e) for test, _, _ in rules.exclusions)]
    later = [e for e in later if not ends or e <= ends[0]]
    done = [entry]
    for size in range(2, len(rules.steps) + 1):
        lasts = [
            max(chosen)
            for chosen in combinations(later, size - 1)
            if _matches((entry, *chosen), rules.steps)
        ]
        if not lasts:
            break
        done.append(min(lasts))
    return done


def _matches(chosen: tuple[Event, ...], steps: tuple[Test, ...]) -> bool:
    return any(
        all(test(event) for test, event in zip(tests, chosen, strict=True))
        for tests in permutations(steps, len(chosen))
    )


def times(chosen: list[Event]) -> list[int]:
    """Return the milliseconds from each step to the next."""
    return [after.at - before.at for before, after in pairwise(chosen)]
