"""The ledger of the whole line: every record of the log in its account, and once in ClickHouse.

What a group has done is read *before* what it must have left behind, so a line that runs is never
taken for a wrong one: what comes meanwhile is merely behind.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.topics import load_topics
from sinks.migrations import kept_since
from sinks.places import STEP, Held, Window, held
from sinks.tables import DEAD_LETTERS
from sinks.warehouse import Warehouse
from streams.log_places import Bits, LogReader, before, count, from_on, mark, open_log
from streams.rows import Ledger
from streams.settings import Settings
from streams.sink import Decode, routes
from streams.verify_findings import Finding, judge_account, judge_committed, judge_dead, judge_rows
from streams.verify_rows import Rows, RowTally
from streams.verify_upserts import Upserts, compare

SOURCE, CHANGELOG, DEAD = "touchpoints", "profiles-changelog", "dead-letters"


class Account(NamedTuple):
    """What became of the records of a partition of touchpoints."""

    partition: int
    end: int
    """The offset after the last record of the log."""
    offset: int
    """The last offset applied; -1 for none."""
    behind: int
    """Records not yet applied."""
    applied: int
    duplicates: int
    late: int
    dead: int
    holes: int
    """Offsets up to the last applied that have no record."""
    unaccounted: int
    """Records up to the last applied less those in an account: 0, or something is wrong."""


@dataclass
class Report:
    """What was found."""

    accounts: list[Account] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def behind(self) -> int:
        """How many touchpoints are not yet applied."""
        return sum(account.behind for account in self.accounts)

    @property
    def sink_behind(self) -> int:
        """How many records of all topics have no row yet."""
        return sum(rows.behind for rows in self.rows)


@dataclass(frozen=True)
class _Progress:
    """How far everybody was at the beginning."""

    durable: dict[str, dict[int, int]]
    """By topic and partition, the offset that the sink has committed."""
    committed: dict[int, int]
    ledgers: dict[int, Ledger]


async def verify(settings: Settings, warehouse: Warehouse | None) -> Report:
    """Hold the log, the accounts of the workers and the rows of the warehouse against each other.

    Reads the whole log once, a few hundred thousand records a second (less where keys have to be
    read, and again for each half million of them); changes nothing.

    Args:
        settings: Whose line.
        warehouse: Where its rows are; None leaves them out.

    Raises:
        streams.log_places.LogUnreadableError: the broker does not answer.
        sinks.warehouse.WarehouseError: the warehouse does not.
    """
    async with open_log(settings, f"{settings.group}-sink") as log:
        durable = {
            name: await log.committed(settings.topic(name), _partitions(name))
            for name, *_ in routes(settings.new_codec())
        }
    async with open_log(settings, settings.group) as log:
        numbers, changelog = _partitions(SOURCE), settings.topic(CHANGELOG)
        progress = _Progress(
            durable,
            await log.committed(settings.topic(SOURCE), numbers),
            {number: await log.ledger(changelog, number) for number in numbers},
        )
        return await _Verification(settings, log, warehouse, progress).run()


class _Verification:
    def __init__(
        self, settings: Settings, log: LogReader, warehouse: Warehouse | None, progress: _Progress
    ) -> None:
        self._settings = settings
        self._log = log
        self._warehouse = warehouse
        self._progress = progress
        self._dead: dict[int, Bits] = {}
        self._kept_since: dict[str, int] = {}
        self._report = Report()

    async def run(self) -> Report:
        await self._read_dead_letters()
        for number in _partitions(SOURCE):
            await self._account(number)
        if self._warehouse is not None:
            now = int(time.time() * 1000)
            self._kept_since = await asyncio.to_thread(kept_since, self._warehouse, now)
            for name, table, decode in routes(self._settings.new_codec()):
                for number in _partitions(name):
                    if table.upserts:
                        await self._upserts(self._warehouse, name, table.name, decode, number)
                    else:
                        await self._rows(self._warehouse, name, table.name, number)
        return self._report

    async def _read_dead_letters(self) -> None:
        """Find out which records of touchpoints have a dead letter on the topic."""
        codec, topic = self._settings.new_codec(), self._settings.topic(DEAD)
        for number, (begin, end) in (await self._log.reach(topic, _partitions(DEAD))).items():
            async for records in self._log.records(topic, number, begin, end):
                for letter in (codec.decode_dead_letter(record.value) for record in records):
                    if letter.topic == self._settings.topic(SOURCE):
                        mark(self._dead.setdefault(letter.partition, {}), [letter.offset])

    async def _account(self, number: int) -> None:
        """Check that the account of a partition has each of its records."""
        settings, ledger = self._settings, self._progress.ledgers[number]
        begin, end = await self._reach(SOURCE, number)
        records = behind = 0
        async for _, places in self._windows(SOURCE, number, begin, end):
            done = count(before(places, ledger.offset + 1))
            records += done
            behind += count(places) - done
        # Where the beginning of the log is gone, only the worker can say what it was.
        unaccounted = ledger.unaccounted if begin else records - ledger.counted - ledger.dead
        if unaccounted < 0 and behind and settings.broker == "plain":
            unaccounted = 0  # a crash left profiles ahead of the ledger, which will come to them
        applied = ledger.counted - ledger.duplicates - ledger.late
        self._report.accounts.append(
            Account(
                number, end, ledger.offset, behind, applied, ledger.duplicates, ledger.late,
                ledger.dead, ledger.holes, unaccounted,
            )
        )  # fmt: skip
        committed = self._progress.committed[number]
        self._report.findings += [
            *await judge_account(settings, self._log, number, unaccounted),
            *judge_committed(settings, number, ledger, committed),
        ]

    async def _rows(self, warehouse: Warehouse, name: str, table: str, number: int) -> None:
        """Check that each record of a partition has its row."""
        durable, dead = self._progress.durable[name][number], dict[int, int]()
        if name == SOURCE:
            ledger = self._progress.ledgers[number]
            # What a worker has not come to yet may still get its dead letter.
            durable, dead = min(durable, ledger.offset + 1), self._dead.get(number, {})
        tally = RowTally(warehouse, table, durable)
        begin, end = await self._reach(name, number)
        kept = await self._first_kept(name, table, number, end)
        async for window, places in self._windows(name, number, begin, end):
            if name == SOURCE:
                for word, bits in (await tally.dead(window)).items():
                    dead[word] = dead.get(word, 0) | bits
            since = max(window.since, kept)
            await tally.compare(window._replace(since=since), from_on(places, since), dead)
        topic = self._settings.topic(name)
        found = await asyncio.to_thread(held, warehouse, table)
        stored = found.get((topic, number), Held(0, -1, -1))
        _, end = await self._reach(name, number)
        await tally.look_beyond(topic, number, end, stored)
        self._report.rows.append(tally.rows(topic, number, stored))
        self._report.findings += judge_rows(self._settings, topic, table, number, tally)
        if name == SOURCE:
            buried = count(before(dead, ledger.offset + 1))
            if DEAD_LETTERS.name in self._kept_since:  # the topic forgets them, too
                buried = max(buried, ledger.dead)
            self._report.findings += judge_dead(self._settings, number, ledger.dead, buried)

    async def _upserts(
        self, warehouse: Warehouse, name: str, table: str, decode: Decode, number: int
    ) -> None:
        """Check that the newest record of each key of a partition has its row."""
        topic = self._settings.topic(name)
        begin, end = await self._reach(name, number)
        durable = min(self._progress.durable[name][number], end)
        behind = count(await self._log.places(topic, number, max(durable, begin), end))
        stored = (await asyncio.to_thread(held, warehouse, table)).get(
            (topic, number), Held(0, -1, -1)
        )
        upserts = Upserts(topic, number, table, decode, begin, durable, stored)
        tally = await compare(self._log, warehouse, upserts)
        self._report.rows.append(tally.rows(upserts, behind))
        self._report.findings += judge_rows(self._settings, topic, table, number, tally)

    async def _first_kept(self, name: str, table: str, number: int, end: int) -> int:
        """Return the offset from which on the table has all rows: before, it may forget them."""
        since = self._kept_since.get(table)
        if since is None:
            return 0
        kept = await self._log.first_since(self._settings.topic(name), number, since)
        return end if kept is None else kept

    async def _windows(
        self, name: str, number: int, begin: int, end: int
    ) -> AsyncIterator[tuple[Window, Bits]]:
        topic = self._settings.topic(name)
        for since in range(begin, end, STEP):
            until = min(since + STEP, end)
            places = await self._log.places(topic, number, since, until)
            yield Window(topic, number, since, until), places

    async def _reach(self, name: str, number: int) -> tuple[int, int]:
        return (await self._log.reach(self._settings.topic(name), [number]))[number]


def _partitions(name: str) -> range:
    return range(load_topics()[name].partitions)
