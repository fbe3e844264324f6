"""What both adapters promise, and what a warehouse URL may say."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.warehouse import (
    Limits,
    Warehouse,
    WarehouseRefused,
    WarehouseUnavailable,
    error_of,
    open_warehouse,
)

pytest_plugins = ["clickhouse_server"]


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("server", marks=pytest.mark.clickhouse),
        pytest.param("container", marks=pytest.mark.clickhouse),
    ]
)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """Each adapter in turn, with an empty table ``things``."""
    if request.param == "embedded":
        url = f"chdb://{tmp_path}/tables"
    elif request.param == "container":
        url = request.getfixturevalue("container_database")
    else:
        url = request.getfixturevalue("clickhouse").url()
    with closing(open_warehouse(url)) as warehouse:
        warehouse.execute("DROP TABLE IF EXISTS things")
        warehouse.execute(
            "CREATE TABLE things (id Int64, name String, note Nullable(String)) "
            "ENGINE = MergeTree ORDER BY id"
        )
        yield warehouse


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Warehouse]:
    """ClickHouse in this process."""
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        yield warehouse


def test_what_goes_in_comes_out(warehouse: Warehouse) -> None:
    """Text, bytes that are not text, nulls and the greatest numbers survive the way."""
    rows = [
        (-(2**63), "", None),
        (0, "it's \\N \t\n\0 你好", b"\xff\x00"),
        (2**63 - 1, b"\xfe", "x" * 2_000_000),
    ]
    warehouse.insert("things", ("id", "name", "note"), rows)
    assert warehouse.query("SELECT * FROM things ORDER BY id") == rows


def test_columns_may_come_in_any_order_and_be_left_out(warehouse: Warehouse) -> None:
    """Values go to the columns that are named; the others take their defaults."""
    warehouse.insert("things", ("name", "id"), [("a", 1)])
    assert warehouse.query("SELECT id, name, note FROM things") == [(1, "a", None)]


def test_no_rows(warehouse: Warehouse) -> None:
    """Inserting nothing stores nothing, and a query may find nothing."""
    warehouse.insert("things", ("id",), [])
    assert warehouse.query("SELECT * FROM things") == []


@pytest.mark.parametrize(
    ("table", "columns", "row"),
    [
        ("no_such_table", ("id",), (1,)),
        ("things", ("no_such_column",), (1,)),
        ("things", ("id",), ("text",)),
        ("things", ("id",), (2**63,)),
        ("things", ("name",), (7,)),
        ("things", ("id", "name"), (1,)),
        ("things` SELECT 1 --", ("id",), (1,)),
    ],
)
def test_data_that_does_not_fit_is_refused(
    warehouse: Warehouse, table: str, columns: tuple[str, ...], row: tuple[object, ...]
) -> None:
    """Schema drift and bad values stop the writer, store nothing, and leave the warehouse open."""
    with pytest.raises(WarehouseRefused):
        warehouse.insert(table, columns, [row])
    assert warehouse.query("SELECT count() FROM things") == [(0,)]


def test_sql_that_is_wrong_is_refused(warehouse: Warehouse) -> None:
    """A syntax error is told with ClickHouse's code and words."""
    with pytest.raises(WarehouseRefused, match=r"ClickHouse error \d+"):
        warehouse.query("SELECT FROM WHERE")
    with pytest.raises(WarehouseRefused, match=r"ClickHouse error \d+"):
        warehouse.execute("CREATE NONSENSE")


@pytest.mark.parametrize("rows", [499, 2_001, 140_501])
def test_many_rows_stay_rows(warehouse: Warehouse, rows: int) -> None:
    """However many go in at once, in however many pieces, each keeps its own values."""
    kept = [(number, f"n{number}", None if number % 3 else f"{number}") for number in range(rows)]
    warehouse.insert("things", ("id", "name", "note"), kept)
    assert sorted(warehouse.query("SELECT id, name, note FROM things")) == kept


def test_merges_give_way_to_questions(embedded: Warehouse) -> None:
    """The engine takes the setting: chdb ignores one that it does not know."""
    setting = "SELECT value FROM system.server_settings WHERE name = {name:String}"
    name = {"name": "os_threads_nice_value_merge_mutate"}
    assert embedded.query(setting, name) == [("10",)]


def test_a_query_that_failed_half_way_leaves_nothing_behind(embedded: Warehouse) -> None:
    """The next answer is its own, although part of the failed one was written already."""
    with pytest.raises(WarehouseRefused, match="half-way"):
        embedded.query("SELECT throwIf(number = 70000, 'half-way') FROM numbers(100000)")
    assert embedded.query("SELECT 1") == [(1,)]


def test_a_query_keeps_its_limits(embedded: Warehouse) -> None:
    """Too many rows, too long a time and any change are refused; nothing is cut off."""
    with pytest.raises(WarehouseRefused, match="max rows"):
        embedded.query("SELECT number FROM numbers(6)", None, Limits(rows=5))
    assert len(embedded.query("SELECT number FROM numbers(5)", None, Limits(rows=5))) == 5
    with pytest.raises(WarehouseUnavailable, match="Timeout"):
        embedded.query("SELECT count() FROM numbers(1000000000000)", None, Limits(seconds=1))
    embedded.execute("CREATE TABLE things (id Int64) ENGINE = MergeTree ORDER BY id")
    with pytest.raises(WarehouseRefused, match="readonly"):
        embedded.query("INSERT INTO things SELECT 1", None, Limits())
    assert embedded.query("SELECT count() FROM things") == [(0,)]


def test_closing_twice_is_harmless(warehouse: Warehouse) -> None:
    """The fixture closes once more."""
    warehouse.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    text=st.text(), texts=st.lists(st.text(), max_size=3), number=st.integers(-(2**63), 2**63 - 1)
)
def test_parameters_arrive_as_they_are(
    embedded: Warehouse, text: str, texts: list[str], number: int
) -> None:
    """No text, however strange, changes the SQL or itself."""
    ((given_text, given_texts, given_number),) = embedded.query(
        "SELECT hex({text:String}), arrayMap(x -> hex(x), {texts:Array(String)}), {number:Int64}",
        {"text": text, "texts": texts, "number": number},
    )
    assert bytes.fromhex(given_text).decode() == text
    assert [bytes.fromhex(item).decode() for item in given_texts] == texts
    assert given_number == number


def test_a_folder_that_another_process_holds(embedded: Warehouse, tmp_path: Path) -> None:
    """The error names the process that holds the folder, and says what to do."""
    held = f"""
from sinks.warehouse import WarehouseRefused, open_warehouse
try:
    open_warehouse("chdb://{tmp_path}/tables")
except WarehouseRefused as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", held], capture_output=True, text=True, check=True)
    holder = (tmp_path / "tables" / "status").read_text().split()[1]
    assert f"process {holder} holds it" in told.stdout
    assert "Stop that worker" in told.stdout


def test_a_second_folder_in_one_process(embedded: Warehouse, tmp_path: Path) -> None:
    """The error says that chdb opens one folder per process."""
    with pytest.raises(WarehouseRefused, match="one folder per process"):
        open_warehouse(f"chdb://{tmp_path}/other")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseRefused, match="file/tables"):
        open_warehouse(f"chdb://{tmp_path}/file/tables")


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``chdb:folder`` is a folder of the working directory."""
    monkeypatch.chdir(tmp_path)
    with closing(open_warehouse("chdb:some/tables")) as warehouse:
        assert warehouse.query("SELECT 1") == [(1,)]
    assert (tmp_path / "some" / "tables").is_dir()


@pytest.mark.parametrize(
    "url",
    [
        "postgres://writer:sesame@host/database",
        "chdb:",
        "clickhouse://",
        "clickhouse://writer:sesame@host:port/database",
        "clickhouse://writer:se/same@host:9000/database",
        "clickhouse://writer:1234#5sesame@host:9000/database",
        "clickhouse://writer:sesame@host/database?secure=perhaps",
        "clickhouse://writer:sesame@host/database?timeout=long",
        "clickhouse://writer:sesame@host/database?compression=lz4",
    ],
)
def test_a_url_that_makes_no_sense(url: str) -> None:
    """It is rejected before anything is opened, and no part of a password is repeated."""
    with pytest.raises(ValueError, match=r"chdb:|clickhouse://") as raised:
        open_warehouse(url)
    assert "same" not in str(raised.value)
    assert "1234" not in str(raised.value)


def test_a_server_is_not_needed_before_the_first_request() -> None:
    """Opening sends nothing; a server that is not there is unavailable, so worth a retry."""
    with closing(open_warehouse("clickhouse://127.0.0.1:1/default")) as warehouse:
        assert repr(warehouse) == "ServerWarehouse('default@127.0.0.1:1/default')"
        with pytest.raises(WarehouseUnavailable, match=r"127\.0\.0\.1:1"):
            warehouse.query("SELECT 1")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(241, WarehouseUnavailable), (252, WarehouseUnavailable), (60, WarehouseRefused)],
)
def test_which_errors_pass(code: int, kind: type[Exception]) -> None:
    """Memory and merges recover by themselves; a missing table does not."""
    assert isinstance(error_of(code, "why"), kind)
