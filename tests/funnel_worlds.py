"""Whole logs of many people, as a worker gets them: disorder, repeats, lateness, bad records.

A world is folded in batches, with restarts between them, and stored as the sink stores it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from funnel_oracle import Event

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec
from schemas.profile import Profile
from schemas.records import DeadLetter, Progress, Touchpoint
from sinks.tables import DEAD_LETTERS, FUNNEL_PROGRESS, TOUCHPOINTS
from sinks.warehouse import Warehouse
from streams.restore import new_shard
from streams.rows import Ledger, to_rows
from streams.store import MemoryStore
from streams.table import Shard

HOUR = 3_600_000
LATENESS = 6
ZONE = ZoneInfo("America/New_York")
START = int(datetime(2024, 3, 8, 3, tzinfo=ZONE).timestamp() * 1000)
"""Two days before the clocks go forward there."""
PARTITIONS = 2

_VIEW = {"name": "view", "event": "page_viewed"}
_VIEW_X = {"name": "view x", "event": "page_viewed", "where": {"page": "x"}}
_FRIEND = {"name": "friend", "event": "friend_added"}
_ORDER = {"name": "order", "event": "order_paid"}
_BIG = {"name": "big", "event": "order_paid", "where": {"amount_minor": {"at_least": 100}}}
_EITHER = {"name": "either", "event": ["friend_added", "order_paid"]}
_LEFT = {"event": "group_left"}


def _without(condition: dict[str, Any], after: int, before: int) -> dict[str, Any]:
    asked = {key: value for key, value in condition.items() if key != "name"}
    return asked | {"after": after, "before": before}


FUNNELS = [
    {"name": "plain", "window": "20h", "steps": [_VIEW, _FRIEND, _ORDER]},
    {"name": "first", "window": "30h", "entry": "first", "steps": [_VIEW, _EITHER, _BIG]},
    {"name": "orders", "window": "50h", "steps": [_ORDER, _ORDER, _ORDER]},
    {"name": "own", "window": "0s", "steps": [_VIEW_X, _VIEW]},
    {
        "name": "without",
        "window": "40h",
        "steps": [_VIEW, _FRIEND, _EITHER, _ORDER],
        "exclusions": [_without(_VIEW_X, 2, 3), _without(_LEFT, 1, 4), _without(_BIG, 2, 4)],
    },
    {
        "name": "first-without",
        "window": "40h",
        "entry": "first",
        "steps": [_VIEW, _VIEW_X, _ORDER],
        "exclusions": [{"event": "group_left"}],
    },
]


def playbook(funnels: list[dict[str, Any]] | None = None) -> PlaybookSpec:
    """Return a playbook with these funnels, a short lateness and a short memory for repeats."""
    return PlaybookSpec.model_validate(
        {
            "name": "worlds",
            "version": 1,
            "currency": "USD",
            "lateness": f"{LATENESS}h",
            "dedupe_window": 3,
            "timezone": ZONE.key,
            "rfm": {"recency_days": 2, "frequency": 2, "monetary_minor": 5000},
            "funnels": FUNNELS if funnels is None else funnels,
        }
    )


class Record(NamedTuple):
    """A touch at its place in the log."""

    at: int
    partition: int
    offset: int
    touchpoint: Touchpoint


def world(random: Random, people: int, longest: int) -> list[Record]:
    """Return the log of these people in the order in which it was appended."""
    arrivals = [
        (at, person, number, touchpoint)
        for person in range(people)
        for number, (at, touchpoint) in enumerate(_history(random, person, longest))
    ]
    ends = [0] * PARTITIONS
    log = []
    for at, person, _, touchpoint in sorted(arrivals, key=lambda each: each[:3]):
        log.append(Record(at, person % PARTITIONS, ends[person % PARTITIONS], touchpoint))
        ends[person % PARTITIONS] += 1
    return log


def _history(random: Random, person: int, longest: int) -> list[tuple[int, Touchpoint]]:
    clock, log = START + random.randrange(30) * HOUR, []
    for number in range(random.randint(1, longest)):
        clock += random.choice((0, 0, 1, 1, 3, 9, 24, 200)) * HOUR
        if log and random.random() < 0.15:
            log.append((clock, random.choice(log)[1]))
            continue
        backfill = random.random() < 0.1
        delay = random.choice((0, 0, 0, 1, 5, LATENESS, LATENESS + 1))
        delay = random.choice((1, 20, 90, 400)) if backfill else delay
        kind = random.choice(
            ("page_viewed", "page_viewed", "friend_added", "order_paid", "group_left")
        )
        touchpoint = Touchpoint(
            f"e{number}", f"u{person}", clock - delay * HOUR, kind, _payload(random, kind), backfill
        )
        log.append((clock, touchpoint))
    return log


def _payload(random: Random, kind: str) -> dict[str, Any]:
    match kind:
        case "order_paid":
            currency = "EUR" if random.random() < 0.1 else "USD"  # one is refused
            amount = random.choice((50, 150))
            return {"order_id": f"o{random.random()}", "amount_minor": amount, "currency": currency}
        case "page_viewed":
            return {"page": random.choice("xy"), "duration_ms": 0}
    return {}


class Folded(NamedTuple):
    """What the worker sent, with the partition of each."""

    progress: list[tuple[int, Progress]]
    rejected: list[Record]
    profiles: dict[str, Profile]


def fold_all(
    random: Random, log: Iterable[Record], spec: PlaybookSpec, before: PlaybookSpec | None = None
) -> Folded:
    """Fold in batches with restarts; up to some record with the playbook ``before``, if given."""
    folded = Folded([], [], {})
    for number in range(PARTITIONS):
        records = [record for record in log if record.partition == number]
        changes = random.randrange(len(records)) if before else 0
        kept: dict[bytes, bytes | None] = {}
        shard = restored(compile_playbook(before or spec), kept)
        while records:
            done = shard.ledger.offset + 1
            if done == changes or random.random() < 0.1:
                now = spec if done >= changes else before
                shard = restored(compile_playbook(now or spec), kept)
            size = random.choice((1, 3, 20, 100))
            batch = records[: min(size, changes - done) if done < changes else size]
            records = records[len(batch) :]
            kept |= _fold_batch(folded, shard, batch)
        folded.profiles.update((p.user_id, p) for chunk in shard.store.scan() for p in chunk)
    return folded


def _fold_batch(folded: Folded, shard: Shard, batch: list[Record]) -> dict[bytes, bytes | None]:
    number = batch[0].partition
    effects = shard.partition.apply((each.touchpoint, each.at) for each in batch)
    folded.progress.extend((number, each) for each in shard.newly_followed())
    folded.progress.extend((number, each) for each in effects.progress.values())
    folded.rejected.extend(batch[index] for index, *_ in effects.rejected)
    ledger = Ledger(
        batch[-1].offset,
        clock=shard.partition.clock,
        counted=shard.counted,
        followed=shard.followed(),
        duplicates=shard.partition.counts.duplicates,
        late=shard.partition.counts.late,
        people=shard.partition.counts.people,
    )
    rows = list(to_rows(effects.changed, ledger, shard.partition))
    shard.settle(ledger, rows, 0)
    return dict(rows)


def restored(playbook: Playbook, rows: Mapping[bytes, bytes | None]) -> Shard:
    """Return the shard of these rows of a changelog."""
    store = MemoryStore(playbook)
    last = sorted(rows.items(), key=lambda row: row[0] == b"")
    store.load([SimpleNamespace(offset=n, key=k, value=v) for n, (k, v) in enumerate(last)])
    return new_shard(playbook, store, store.finish())


def store(random: Random, warehouse: Warehouse, log: list[Record], folded: Folded) -> None:
    """Store everything in parts, in any order, and some of it twice, as a sink's retries do."""
    touches = [
        TOUCHPOINTS.row(("touchpoints", each.partition, each.offset, each.at), each.touchpoint)
        for each in log
    ]
    progress = [
        FUNNEL_PROGRESS.row(("funnel-progress", partition, place, START), each)
        for place, (partition, each) in enumerate(folded.progress)
    ]
    letters = [
        DEAD_LETTERS.row(
            ("dead-letters", each.partition, place, each.at),
            DeadLetter("touchpoints", each.partition, each.offset, each.at, "r", "", b"", b""),
        )
        for place, each in enumerate(folded.rejected)
    ]
    for table, rows in (
        (TOUCHPOINTS, touches),
        (FUNNEL_PROGRESS, progress),
        (DEAD_LETTERS, letters),
    ):
        shuffled = random.sample(rows, len(rows))
        parts = [shuffled[::2], shuffled[1::2], random.sample(rows, len(rows) // 3)]
        for part in parts:
            warehouse.insert(table.name, table.columns, part)


def applied(log: list[Record], folded: Folded) -> dict[str, list[Event]]:
    """Return the events of each person that the rule on late events and bad records leaves."""
    rejected = {(each.partition, each.offset) for each in folded.rejected}
    people: dict[str, list[Event]] = {}
    for at, partition, offset, each in log:
        late = at - each.occurred_at > LATENESS * HOUR and not each.backfill
        if late or (partition, offset) in rejected:
            continue
        payload = each.payload
        people.setdefault(each.user_id, []).append(
            Event(
                each.occurred_at, partition, offset, each.event_id, each.kind, "",
                payload.get("amount_minor", 0), payload.get("page", ""),
            )
        )  # fmt: skip
    return people
