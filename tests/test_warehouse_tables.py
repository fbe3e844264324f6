"""The tables of the log on ClickHouse's current engine: no field is lost, no replay adds."""

import io
import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from chdb import session
from clickhouse_driver import Client
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.context import Context
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str
from table_records import ACTION, AGGREGATE, AT, DEAD_LETTER, FACT, PLACE, PROGRESS, TOUCHPOINT

from processors import orders
from schemas.records import Touchpoint
from sinks.migrations import migrate
from sinks.orders import MAX_AMOUNT_MINOR
from sinks.summary import rows_by_table
from sinks.tables import (
    ACTIONS,
    AGGREGATES,
    DEAD_LETTERS,
    FACTS,
    FUNNEL_PROGRESS,
    TABLES,
    TOUCHPOINTS,
)
from sinks.warehouse import Limits, Warehouse, open_warehouse

DAY = 86_400_000


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """The tables of the log, empty."""
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        migrate(warehouse)
        yield warehouse


def _milliseconds(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(_plain, row))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value


@pytest.mark.parametrize(
    ("table", "record", "expected"),
    [
        (
            TOUCHPOINTS,
            TOUCHPOINT,
            {
                "event_id": "e1",
                "user_id": "u1",
                "occurred_at": AT + 7,
                "kind": "order_paid",
                "backfill": True,
                "channel": "wecom",
                "source": "douyin",
                "campaign": "spring",
                "staff": "li",
                "community": "group 1",
                "payload": json.dumps(
                    TOUCHPOINT.payload, separators=(",", ":"), ensure_ascii=False
                ),
                "amount_minor": 1999,
                "currency": "CNY",
                "order_id": "o1",
            },
        ),
        (FACTS, FACT, {name: getattr(FACT, name) for name in FACT.__struct_fields__}),
        (ACTIONS, ACTION, {name: getattr(ACTION, name) for name in ACTION.__struct_fields__}),
        (AGGREGATES, AGGREGATE, msgspec.structs.asdict(AGGREGATE)),
        (FUNNEL_PROGRESS, PROGRESS, msgspec.structs.asdict(PROGRESS)),
        (
            DEAD_LETTERS,
            DEAD_LETTER,
            {
                "source_topic": "touchpoints",
                "source_partition": 1,
                "source_offset": 5,
                "source_appended_at": AT,
                "reason": "truncated",
                "detail": "it ends early",
                "key": None,
                "value": b"\x00\xff",
            },
        ),
    ],
    ids=["touchpoints", "facts", "actions", "aggregates", "funnel_progress", "dead_letters"],
)
def test_every_field_of_a_record_is_a_column(
    warehouse: Warehouse, table: Any, record: Any, expected: dict[str, Any]
) -> None:
    """A record comes back field by field, to the millisecond, with its place in the log."""
    warehouse.insert(table.name, table.columns, [table.row(PLACE, record)])

    (row,) = warehouse.query("SELECT * FROM {table:Identifier}", {"table": table.name})
    assert dict(zip(table.columns, _milliseconds(row), strict=True)) == {
        **expected,
        "topic": "topic",
        "partition": 3,
        "offset": 2**40,
        "appended_at": AT + 123,
    }


def test_what_a_payload_lacks_is_empty(warehouse: Warehouse) -> None:
    """The promoted columns of an event without money are 0 and empty."""
    viewed = Touchpoint("e", "u", AT, "page_viewed", {"page": "/", "duration_ms": 5})
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, [TOUCHPOINTS.row(PLACE, viewed)])
    rows = warehouse.query("SELECT amount_minor, currency, order_id FROM touchpoints")
    assert rows == [(0, "", "")]


def test_a_replay_adds_nothing(warehouse: Warehouse) -> None:
    """However often, in whatever batches and order records are stored, each counts once."""
    rng = random.Random(1997)  # noqa: S311 - test data
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", i % 4, i // 4, AT + i * DAY),
            Touchpoint(
                f"e{i}",
                f"u{i % 50}",
                AT - rng.randrange(20_000) * DAY,
                "order_paid" if i % 3 else "order_refunded",
                {"order_id": f"o{i}", "amount_minor": i, "currency": "CNY" if i % 2 else "USD"},
            ),
        )
        for i in range(1_000)
    ]
    warehouse.execute("SYSTEM STOP MERGES touchpoints")
    for _ in range(5):
        rng.shuffle(rows)
        for start in range(0, len(rows), 400):
            warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[start : start + 400])
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[:100] * 3)

    assert rows_by_table(warehouse) == {
        "touchpoints": 1_000,
        "facts": 0,
        "actions": 0,
        "dead_letters": 0,
        "aggregates": 0,
        "funnel_progress": 0,
    }
    revenue = """
        SELECT currency, sum(if(kind = 'order_paid', amount_minor, -amount_minor))
        FROM touchpoints FINAL GROUP BY currency"""
    assert dict(warehouse.query(revenue)) == {
        currency: sum(i if i % 3 else -i for i in range(1_000) if i % 2 == odd)
        for currency, odd in (("CNY", 1), ("USD", 0))
    }
    warehouse.execute("SYSTEM START MERGES touchpoints")
    warehouse.execute("OPTIMIZE TABLE touchpoints FINAL")
    assert warehouse.query("SELECT count() FROM touchpoints") == [(1_000,)]


def test_the_warehouse_counts_as_much_money_as_the_fold() -> None:
    """The two packages do not know each other, so each has the bound of one event for itself."""
    assert MAX_AMOUNT_MINOR == orders.MAX_AMOUNT_MINOR


def test_repeats_within_one_insert_count_once(warehouse: Warehouse) -> None:
    """A single part that was never merged may hold repeats in any of its granules."""
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", 0, i % 20_000, AT),
            Touchpoint("e", f"u{i % 700}", AT, "page_viewed", {}),
        )
        for i in range(60_000)
    ]
    warehouse.execute("SYSTEM STOP MERGES touchpoints")
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
    assert warehouse.query("SELECT count() FROM touchpoints") == [(60_000,)]
    counted = "SELECT count(), uniqExact(user_id) FROM touchpoints FINAL"
    places = {(row[1], row[16]) for row in rows}
    assert warehouse.query(counted, None, Limits()) == [(len(places), 700)]


def test_a_century_of_history_in_one_insert(warehouse: Warehouse) -> None:
    """The time of the business does not cut an insert into parts; 1,200 months are one part."""
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", 0, i, AT),
            Touchpoint(f"e{i}", "u", AT - i * 30 * DAY, "page_viewed", {"page": "/"}),
        )
        for i in range(1_200)
    ]
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
    parts = "SELECT count() FROM system.parts WHERE table = 'touchpoints' AND active"
    assert warehouse.query(parts) == [(1,)]


def test_the_same_offset_of_two_topics_is_two_rows(warehouse: Warehouse) -> None:
    """Actions of one person on two trigger topics do not replace each other."""
    places = [("actions.message", 0, 1, AT), ("actions.lead", 0, 1, AT), ("actions.lead", 1, 1, AT)]
    rows = [ACTIONS.row(place, ACTION) for place in places]
    warehouse.insert("actions", ACTIONS.columns, rows)
    assert rows_by_table(warehouse)["actions"] == 3


@pytest.mark.parametrize(
    ("table", "record", "place"),
    [(AGGREGATES, AGGREGATE, "start"), (FUNNEL_PROGRESS, PROGRESS, "day")],
    ids=["aggregates", "funnel_progress"],
)
def test_of_an_upsert_the_highest_version_stays(
    warehouse: Warehouse, table: Any, record: Any, place: str
) -> None:
    """Versions that come in any order, again and from other places in the log are one row."""
    rng = random.Random(5)  # noqa: S311 - test data
    replace = msgspec.structs.replace
    rows = [
        table.row(
            (table.name, 3, 100 * run + version, AT + run * 40 * DAY),
            replace(record, version=version, **{place: AT + key * DAY}),
        )
        for run in range(3)  # a replay sends them again, at other offsets, in another month
        for key in range(5)
        for version in range(10)
    ]
    warehouse.execute(f"SYSTEM STOP MERGES {table.name}")
    rng.shuffle(rows)
    for start in range(0, len(rows), 40):
        warehouse.insert(table.name, table.columns, rows[start : start + 40])
    kept = f"SELECT version FROM {table.name} FINAL"  # noqa: S608 - a constant
    assert warehouse.query(kept, limits=Limits()) == [(9,)] * 5


@pytest.mark.parametrize(
    ("table", "record"),
    [
        (TOUCHPOINTS, TOUCHPOINT),
        (FACTS, FACT),
        (ACTIONS, ACTION),
        (DEAD_LETTERS, DEAD_LETTER),
        (AGGREGATES, AGGREGATE),
        (FUNNEL_PROGRESS, PROGRESS),
    ],
    ids=[table.name for table in TABLES],
)
def test_the_server_driver_writes_the_types_of_our_tables(
    warehouse: Warehouse, tmp_path: Path, table: Any, record: Any
) -> None:
    """The driver's native encoding of a row is what the current engine stores for that row.

    The server that the wire-level tests use is too old for these types.
    """
    described = warehouse.query("DESCRIBE TABLE {table:Identifier}", {"table": table.name})
    types = {name: type_ for name, type_, *_ in described}
    columns = [(name, types[name]) for name in table.columns]
    with closing(session.Session(str(tmp_path / "tables"))) as engine:
        insert = engine.send_insert(f"INSERT INTO {table.name}", "Native")
        insert.append(_native_block(columns, table.row(PLACE, record)))
        insert.finish()

    other = PLACE._replace(topic="other")
    warehouse.insert(table.name, table.columns, [table.row(other, record)])
    by_driver, by_arrow = (
        warehouse.query(
            "SELECT * EXCEPT topic FROM {table:Identifier} WHERE topic = {topic:String}",
            {"table": table.name, "topic": place.topic},
        )
        for place in (PLACE, other)
    )
    assert len(by_driver) == 1
    assert by_driver == by_arrow


def _native_block(columns: list[tuple[str, str]], row: tuple[Any, ...]) -> bytes:
    """Return one row in ClickHouse's Native format, its values written by clickhouse-driver."""
    context = Context()
    context.client_settings = Client("nowhere").client_settings
    context.server_info = SimpleNamespace(used_revision=0, get_timezone=lambda: "UTC")
    out = io.BytesIO()
    buffer = BufferedSocketWriter(SimpleNamespace(sendall=out.write), 1 << 20)
    write_varint(len(columns), buffer)
    write_varint(1, buffer)
    for (name, type_), value in zip(columns, row, strict=True):
        write_binary_str(name, buffer)
        write_binary_str(type_, buffer)
        write_column(context, name, type_, [value], buffer)
    buffer.flush()
    return out.getvalue()


def test_a_sample_of_people_reads_its_part_of_the_table(warehouse: Warehouse) -> None:
    """Rows of before the migration and after it are there in the order of people, too."""
    warehouse.execute(
        "INSERT INTO touchpoints (event_id, user_id, kind, topic, partition, offset) "
        "SELECT toString(number), toString(number), 'page_viewed', 't', 0, number "
        "FROM numbers(300000)"
    )
    tenth = f"FROM touchpoints WHERE cityHash64(user_id) <= {2**64 // 10}"
    plan = warehouse.query(f"EXPLAIN SELECT count(), max(occurred_at) {tenth}")
    assert any("by_person" in line for (line,) in plan)
    ((people,),) = warehouse.query(f"SELECT count() {tenth}")
    assert 29_000 < people < 31_000
