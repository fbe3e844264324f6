"""The server adapter against a real ClickHouse server whose network and process fail."""

import contextlib
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from clickhouse_server import PASSWORD, Cable, ClickHouseServer

from sinks.warehouse import Warehouse, WarehouseRefused, WarehouseUnavailable, open_warehouse

pytest_plugins = ["clickhouse_server"]
pytestmark = pytest.mark.clickhouse

COLUMNS = ("id", "name", "note", "month")
MONTH = date(2024, 1, 1)
ROWS = [(i, f"person {i} says 你好", None if i % 2 else "note", MONTH) for i in range(50_000)]
STORED = [(len(ROWS), sum(row[0] for row in ROWS))]
EXACT = "SELECT count(), sum(id) FROM events FINAL"


@pytest.fixture
def warehouse(clickhouse: ClickHouseServer, cable: Cable, direct: Warehouse) -> Iterator[Warehouse]:
    """The adapter under test, which reaches the server by the cable."""
    with contextlib.closing(open_warehouse(clickhouse.url(cable.port, "timeout=120"))) as adapter:
        yield adapter


def test_rows_are_stored_when_insert_returns(warehouse: Warehouse, direct: Warehouse) -> None:
    """All of 50,000 rows are there, with their text and nulls, when insert returns."""
    warehouse.insert("events", COLUMNS, ROWS)

    assert direct.query(EXACT) == STORED
    assert direct.query("SELECT * FROM events ORDER BY id LIMIT 2") == ROWS[:2]


def test_a_server_killed_in_the_middle_of_an_insert(
    warehouse: Warehouse, clickhouse: ClickHouseServer, cable: Cable
) -> None:
    """The insert reports unavailable, and the same insert succeeds once the server is back."""
    cable.jam_requests_after = 300_000
    with ThreadPoolExecutor(1) as thread:
        insert = thread.submit(warehouse.insert, "events", COLUMNS, ROWS)
        assert cable.jammed.wait(60)
        clickhouse.stop()
        with pytest.raises(WarehouseUnavailable):
            insert.result(60)

    with pytest.raises(WarehouseUnavailable):
        warehouse.insert("events", COLUMNS, ROWS)

    clickhouse.start()
    cable.repair()
    warehouse.insert("events", COLUMNS, ROWS)
    assert warehouse.query(EXACT) == STORED


def test_an_answer_that_is_lost(warehouse: Warehouse, direct: Warehouse, cable: Cable) -> None:
    """An insert that was stored but not answered is unavailable, and repeating it adds nothing."""
    cable.lose_answers_after = 300_000
    with ThreadPoolExecutor(1) as thread:
        insert = thread.submit(warehouse.insert, "events", COLUMNS, ROWS)
        while direct.query(EXACT) != STORED:
            assert not insert.done()
        cable.cut()
        with pytest.raises(WarehouseUnavailable):
            insert.result(60)

    cable.repair()
    warehouse.insert("events", COLUMNS, ROWS)
    assert direct.query(EXACT) == STORED


def test_a_server_that_falls_silent(
    clickhouse: ClickHouseServer, direct: Warehouse, cable: Cable
) -> None:
    """A request fails as unavailable after the time-out, and does not wait for ever."""
    cable.lose_answers_after = 1_000
    with contextlib.closing(open_warehouse(clickhouse.url(cable.port, "timeout=3"))) as warehouse:
        with pytest.raises(WarehouseUnavailable):
            warehouse.insert("events", COLUMNS, ROWS)
        cable.repair()
        assert warehouse.query("SELECT 1") == [(1,)]


def test_a_connection_that_died_between_requests(warehouse: Warehouse, cable: Cable) -> None:
    """The adapter connects again without an error."""
    assert warehouse.query("SELECT 1") == [(1,)]
    cable.cut()
    assert warehouse.query("SELECT 2") == [(2,)]


@pytest.mark.parametrize(
    ("table", "columns", "row"),
    [
        ("no_such_table", ("id",), (1,)),
        ("events", ("no_such_column",), (1,)),
        ("events", ("id",), ("text",)),
        ("events", ("id",), (2**63,)),
        ("events", ("name",), (None,)),
        ("events", ("id", "name"), (1,)),
        ("events; DROP TABLE events", ("id",), (1,)),
    ],
)
def test_data_that_does_not_fit(
    warehouse: Warehouse, table: str, columns: tuple[str, ...], row: tuple[object, ...]
) -> None:
    """Schema drift and bad values are refused, nothing is stored, and the connection lives on."""
    with pytest.raises(WarehouseRefused):
        warehouse.insert(table, columns, [row])
    assert warehouse.query("SELECT count() FROM events") == [(0,)]


def test_more_parts_than_the_server_can_merge(warehouse: Warehouse) -> None:
    """A server that asks for a pause is unavailable, not a reason to stop."""
    warehouse.execute("DROP TABLE events")
    warehouse.execute("""
        CREATE TABLE events (id Int64) ENGINE = MergeTree ORDER BY id
        SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1
    """)
    warehouse.insert("events", ("id",), [(1,)])
    with pytest.raises(WarehouseUnavailable, match="252"):
        warehouse.insert("events", ("id",), [(2,)])


def test_the_password_is_never_shown(clickhouse: ClickHouseServer) -> None:
    """Neither the adapter nor the whole chain of an error names the password."""
    wrong = clickhouse.url().replace(":open", ":hidden-open")
    warehouse = open_warehouse(wrong)
    with pytest.raises(WarehouseRefused) as raised:
        warehouse.query("SELECT 1")
    told = repr(warehouse) + "".join(traceback.format_exception(raised.value))
    assert "writer@127.0.0.1" in told
    assert "hidden-open" not in told
    assert PASSWORD not in told
