"""Logs for the live aggregates, folded in batches with restarts, and what a brute force counts."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, time
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from playbook_yaml import brisk
from strategies import Log

from processors.partition import Partition
from processors.playbook import Playbook
from schemas.aggregates import decode_block, encode_block
from schemas.profile import decode, encode
from schemas.records import Aggregate, DeadLetter, Fact
from sinks.tables import AGGREGATES, DEAD_LETTERS, FACTS, TOUCHPOINTS
from sinks.warehouse import Warehouse

ZONE = "Europe/Berlin"
PLAYBOOK = brisk(timezone=ZONE)
LATENESS = 7 * 86_400_000

Key = tuple[str, int, str, str]
"""Grain, begin of the window, dimension and value."""
Sums = tuple[int, int, int, int, int]
"""Touches, people, new people, orders and revenue."""


class Folded(NamedTuple):
    """What came of a log."""

    rows: dict[str, Aggregate]
    """The last row of each key."""
    sent: list[Aggregate]
    """All of them, in order."""
    facts: list[Fact]
    rejected: list[int]
    """Positions in the log."""
    bytes_kept: int
    """The most that the block in hand had."""


def with_campaigns(log: Log) -> Log:
    """Give each touch a campaign, which the drawn logs lack."""
    return [(replace(touch, campaign=touch.staff), at) for touch, at in log]


def fold_cut(
    log: Log, stops: Iterable[int], *, restart: bool = False, playbook: Playbook = PLAYBOOK
) -> Folded:
    """Fold a log cut into batches; with ``restart`` from its bytes before each of them."""
    partition, folded, start = Partition(playbook, {}), Folded({}, [], [], [], 0), 0
    for stop in [*stops, len(log)]:
        if restart:
            kept = {u: decode(encode(p)) for u, p in partition.profiles.items()}
            clock, block = partition.clock, encode_block(partition.aggregates.block)
            partition = Partition(playbook, kept, block=decode_block(block))
            partition.clock = clock
        effects = partition.apply(log[start:stop])
        folded.rows.update(effects.aggregates)
        folded.sent.extend(effects.aggregates.values())
        folded.facts.extend(effects.facts)
        folded.rejected.extend(start + index for index, *_ in effects.rejected)
        size = max(folded.bytes_kept, len(encode_block(partition.aggregates.block)))
        folded = folded._replace(bytes_kept=size)
        start = stop
    return folded


def totals(rows: Iterable[Aggregate]) -> dict[Key, Sums]:
    """Add the rows of all blocks up."""
    sums: dict[Key, list[int]] = defaultdict(lambda: [0] * 5)
    for row in rows:
        columns = (row.touches, row.people, row.new_people, row.orders, row.revenue_minor)
        for n, (dimension, value) in enumerate(zip(row.dimensions, row.values, strict=True)):
            cell = sums[row.grain, row.start, dimension, value]
            for place, column in enumerate(columns):
                cell[place] += column[n]
    return {key: (a, b, c, d, e) for key, (a, b, c, d, e) in sums.items()}


def count_all(log: Log) -> dict[Key, Sums]:
    """Count the whole log at once, with sets of people and nothing kept from touch to touch."""
    partition, seen, met = Partition(PLAYBOOK, {}), set[tuple[str, str]](), set[str]()
    people: dict[Key, set[str]] = defaultdict(set)
    sums: dict[Key, list[int]] = defaultdict(lambda: [0] * 4)
    for touch, at in log:
        before = partition.profiles.get(touch.user_id)
        orders, money = (before.frequency, before.monetary_minor) if before else (0, 0)
        rejected = partition.apply([(touch, at)]).rejected
        late = at - touch.occurred_at > LATENESS and not touch.backfill
        again = (touch.user_id, touch.event_id) in seen
        if rejected or late or again:
            continue
        seen.add((touch.user_id, touch.event_id))
        if touch.kind in {"action_reported", "attribute_set"}:
            continue
        new = touch.user_id not in met
        met.add(touch.user_id)
        if touch.backfill:
            continue
        after = partition.profiles[touch.user_id]
        for grain, start in (("minute", at // 60_000 * 60_000), ("day", _day(touch.occurred_at))):
            for dimension, value in (
                ("all", ""),
                ("channel", touch.channel),
                ("campaign", touch.campaign),
                ("stage", after.aipl),
                ("segment", after.segment),
            ):
                key = (grain, start, dimension, value)
                people[key].add(touch.user_id)
                cell = sums[key]
                cell[0] += 1
                cell[1] += new
                cell[2] += after.frequency - orders
                cell[3] += after.monetary_minor - money
    return {key: (cell[0], len(people[key]), *cell[1:]) for key, cell in sums.items()}  # type: ignore[misc]


def _day(at: int) -> int:
    """Return the begin of the local day."""
    zone = ZoneInfo(ZONE)
    midnight = datetime.combine(datetime.fromtimestamp(at / 1000, zone).date(), time(), zone)
    return int(midnight.timestamp() * 1000)


def store(
    warehouse: Warehouse, log: Log, folded: Folded, random: Random, *, playbook: Playbook = PLAYBOOK
) -> None:
    """Store what the sink would: every row twice, out of order, and what a full replay sends."""
    letters = [
        DeadLetter("touchpoints", 0, n, log[n][1], "currency", "", None, None)
        for n in folded.rejected
    ]
    replayed = [*folded.sent, *fold_cut(log, [], playbook=playbook).sent]
    for table, records in (
        (TOUCHPOINTS, [touch for touch, _ in log]),
        (FACTS, folded.facts),
        (AGGREGATES, replayed),
        (DEAD_LETTERS, letters),
    ):
        warehouse.execute(f"TRUNCATE TABLE {table.name}")
        at = [at for _, at in log] if table is TOUCHPOINTS else [log[0][1]] * len(records)
        rows = [
            table.row((table.name, 0, n, at[n]), record)  # type: ignore[arg-type]
            for n, record in enumerate(records)
        ] * 2
        random.shuffle(rows)
        for start in range(0, len(rows), 20):
            warehouse.insert(table.name, table.columns, rows[start : start + 20])
