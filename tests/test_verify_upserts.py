"""Rows that replace one another are held against their topic, key by key and part by part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace as changed
from table_records import AGGREGATE, PROGRESS

from schemas.records import Aggregate, Progress
from sinks.migrations import migrate
from sinks.places import held
from sinks.tables import AGGREGATES, FUNNEL_PROGRESS, Table
from sinks.warehouse import open_warehouse
from streams import verify_upserts
from streams.log_places import LogReader, named
from streams.verify_upserts import Upserts, compare

RANDOM = Random(4)  # noqa: S311 - test data
CASES: list[tuple[Table[Any], list[Aggregate | Progress]]] = [
    (AGGREGATES, [changed(AGGREGATE, block=RANDOM.randrange(40), version=n) for n in range(200)]),
    (
        FUNNEL_PROGRESS,
        [
            changed(PROGRESS, user_id=f"用户{RANDOM.randrange(20)}", best=n % 3 == 0, version=n)
            for n in range(200)
        ],
    ),
]


class Topic:
    """A partition of a topic, whose records are at hand."""

    def __init__(self, records: list[Aggregate | Progress]) -> None:
        self._records = [
            SimpleNamespace(offset=offset, key=each.key.encode(), value=each)
            for offset, each in enumerate(records)
        ]

    async def records(
        self, _topic: str, _partition: int, since: int, until: int
    ) -> AsyncIterator[list[Any]]:
        """Yield some of them, a few at a time."""
        for start in range(since, until, 7):
            yield self._records[start : min(start + 7, until)]


@pytest.mark.parametrize(("table", "records"), CASES, ids=["aggregates", "funnel_progress"])
def test_each_key_has_its_newest_row(
    table: Table[Any],
    records: list[Aggregate | Progress],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole, a sink that goes on, a topic that forgets; then a row too few, too old, too new."""
    monkeypatch.setattr(verify_upserts, "KEYS_AT_ONCE", 60)  # four times through the topic
    monkeypatch.setattr(verify_upserts, "ROWS_AT_ONCE", 3)
    log = cast("LogReader", Topic(records))
    last = {each.key: offset for offset, each in enumerate(records)}

    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        migrate(warehouse)

        def insert(*rows: tuple[int, Aggregate | Progress]) -> None:
            made = [table.row(("t", 0, offset, 0), row) for offset, row in rows]
            warehouse.insert(table.name, table.columns, made)

        def found(**other: int) -> tuple[int, str, str]:
            stored = held(warehouse, table.name)["t", 0]
            whole = Upserts("t", 0, table.name, lambda r: r.value, 0, len(records), stored)
            tally = asyncio.run(compare(log, warehouse, replace(whole, **other)))
            return tally.keys, named(tally.missing), named(tally.strange)

        insert(*enumerate(records))
        insert(*enumerate(records))
        assert found() == (len(last), "", "")
        assert found(durable=150)[1:] == ("", "")
        assert found(begin=190) == (len({each.key for each in records[190:]}), "", "")

        gone, older, newer = sorted(last.values())[:3]
        drop = "ALTER TABLE {} DELETE WHERE version IN ({}) SETTINGS mutations_sync = 2"
        same = [n for n, each in enumerate(records) if each.key == records[gone].key]
        warehouse.execute(drop.format(table.name, ", ".join(map(str, same))))
        warehouse.execute(drop.format(table.name, older))
        insert((older, changed(records[older], version=0)))
        insert((newer, changed(records[newer], version=500)))
        assert found() == (len(last), named_of(gone, older), str(newer))


def named_of(*offsets: int) -> str:
    """Write places as a finding does."""
    bits: dict[int, int] = {}
    verify_upserts.mark(bits, offsets)
    return named(bits)
