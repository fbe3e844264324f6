"""A changelog as Kafka keeps it, and small lives to fill a store with: for the tests of stores."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from playbook_yaml import brisk
from strategies import START, Log

from processors.partition import Known, Partition
from processors.playbook import Playbook
from schemas.profile import dump
from schemas.records import Touchpoint
from streams.disk_store import DiskStore
from streams.restore import place_to_resume
from streams.rows import BLOCK_KEY, Ledger, read_block, to_rows
from streams.store import StaleStoreError, Store
from streams.table import Shard

PLAYBOOK = brisk()
OTHER = replace(PLAYBOOK, new_for=PLAYBOOK.new_for // 3, fingerprint=PLAYBOOK.fingerprint ^ 1)
FEW = settings(
    max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


class Changelog:
    """A changelog as Kafka keeps it: offsets with gaps for the marks of transactions."""

    def __init__(self, lineage: bytes = b"a", marks: int = 1) -> None:
        self.marks = marks
        self.records: list[Any] = []
        self.end = 0
        self.lineage = lineage
        self.own: dict[bytes, bytes] = {}
        self.ahead: dict[str, int] = {}
        """What the store that was brought up last said of them and of those ahead."""

    def append(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Append the rows of a transaction; return the changelog's new end."""
        for key, value in rows:
            self.records.append(SimpleNamespace(offset=self.end, key=key, value=value))
            self.end += 1
        self.end += self.marks
        return self.end

    def compact(self) -> None:
        """Keep the last row of each key."""
        last = {record.key: record for record in self.records}
        self.records = [record for record in self.records if last[record.key] is record]

    def restore(self, store: Store, playbook: Playbook = PLAYBOOK) -> Shard:
        """Bring a store up, as a worker does."""
        while True:
            start = place_to_resume(store, 0, self.end)
            store.load([record for record in self.records if record.offset >= start])
            try:
                found = store.finish()
            except StaleStoreError as error:
                store.discard(str(error))
                continue
            ledger = found.ledger or Ledger(lineage=self.lineage)
            counts = ledger.counts
            counts.people = found.people
            known, (_, block) = Known(counts, store.due), read_block(found.own.get(BLOCK_KEY))
            partition = Partition(playbook, store.profiles, known, block)
            partition.clock = ledger.clock
            assert 0 <= found.people - ledger.people <= len(found.ahead)
            self.own, self.ahead = found.own, found.ahead
            return Shard(partition, ledger, store=store)

    def step(self, shard: Shard, batch: Log, now: int) -> None:
        """Apply a batch and let the clock go on, each a transaction that is then settled."""
        for effects in (shard.partition.apply(batch), shard.partition.advance(now)):
            counts = shard.partition.counts
            ledger = msgspec.structs.replace(
                shard.ledger, offset=shard.ledger.offset + len(batch), people=counts.people,
                clock=shard.partition.clock, counted=shard.counted,
                duplicates=counts.duplicates, late=counts.late,
            )  # fmt: skip
            block = shard.partition.aggregates.block
            rows = list(to_rows(effects.changed, ledger, shard.partition, block))
            shard.settle(ledger, rows, self.append(rows))


def shown(store: Store) -> list[str]:
    """Return the canonical dump of a store."""
    return list(dump({p.user_id: p for chunk in store.scan() for p in chunk}))


def run(log: Log, changelog: Changelog, shard: Shard) -> None:
    """Apply a log, record by record."""
    for each in log:
        changelog.step(shard, [each], each[1])


def filled(folder: Path, log: Log, changelog: Changelog) -> list[str]:
    """Fill a store on the disk, and close it; return its dump."""
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    run(log, changelog, changelog.restore(store))
    dumped = shown(store)
    store.close()
    return dumped


def life(people: int, lap: int = 0) -> Log:
    """Return an order of each of some people, a minute apart."""
    log = []
    for number in range(people):
        at = START + (lap * people + number) * 60_000
        log.append((order_of(f"u{number}", f"{lap}-{number}", at), at))
    return log


def order_of(user: str, order: str = "0", at: int = START) -> Touchpoint:
    """Return a paid order."""
    money = {"order_id": order, "amount_minor": 1000, "currency": "USD"}
    return Touchpoint(order, user, at, "order_paid", money)
