"""The user that asks questions can read, within limits, and do nothing else."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from clickhouse_server import ClickHouseServer

from sinks.migrations import migrate
from sinks.warehouse import Limits, Warehouse, WarehouseRefused, open_warehouse
from streams.cli import cli
from streams.settings import Settings
from streams.sink import build_sink

READER = Path(__file__).resolve().parents[1] / "deploy" / "clickhouse" / "reader.xml"
CHANGES = (
    "INSERT INTO events (id) SELECT 1",
    "DROP TABLE events",
    "ALTER TABLE events ADD COLUMN b Int64",
    "CREATE TABLE mine (id Int64) ENGINE = Memory",
    "SET readonly = 0",
)

pytest_plugins = ["clickhouse_server"]


@pytest.fixture
def reader(
    clickhouse_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """The user of ``deploy/clickhouse`` on a server with a table of three rows."""
    monkeypatch.setenv("CLICKHOUSE_READER_PASSWORD", "look/only")
    server = ClickHouseServer(tmp_path)
    (tmp_path / "users.d").mkdir()
    # The old server calls its root by another name, knows no constraints, and ignores grants.
    old = READER.read_text().replace("clickhouse>", "yandex>")
    old = re.sub("<constraints>.*</constraints>", "", old, flags=re.DOTALL)
    (tmp_path / "users.d" / "reader.xml").write_text(old)
    server.start()
    try:
        with closing(open_warehouse(server.url())) as writer:
            writer.execute("CREATE TABLE events (id Int64) ENGINE = MergeTree ORDER BY id")
            writer.insert("events", ("id",), [(1,), (2,), (3,)])
        url = f"clickhouse://touchline_reader:look%2Fonly@127.0.0.1:{server.port}/default"
        with closing(open_warehouse(url)) as warehouse:
            yield warehouse
    finally:
        server.stop()


@pytest.mark.clickhouse
def test_the_reader_asks_within_its_limits(reader: Warehouse) -> None:
    """Questions set limits of their own, which the profile lets them lower."""

    def limited(sql: str, limits: Limits) -> str:
        # The old server does not know this setting.
        return limits.on(sql).replace("do_not_merge_across_partitions_select_final = 1, ", "")

    assert reader.query(limited("SELECT sum(id) FROM events", Limits(seconds=5))) == [(6,)]
    with pytest.raises(WarehouseRefused, match="rows"):
        reader.query(limited("SELECT number FROM system.numbers LIMIT 200000", Limits(rows=5)))
    with pytest.raises(WarehouseRefused, match="readonly"):
        reader.query("SELECT 1 SETTINGS readonly = 0")


@pytest.mark.clickhouse
@pytest.mark.parametrize("change", CHANGES)
def test_the_reader_changes_nothing(reader: Warehouse, change: str) -> None:
    """Whatever the statement, the server refuses it and the rows stay."""
    with pytest.raises(WarehouseRefused, match=r"readonly|read only|Readonly"):
        reader.execute(change)
    assert reader.query("SELECT count() FROM events") == [(3,)]


def test_the_limits_of_a_question_are_allowed() -> None:
    """What questions ask for by default is no more than what the reader may have at most."""
    most = {
        each.tag: int(each.findtext("max", "0"))
        for each in ET.parse(READER).find(".//constraints") or ()  # noqa: S314 - ours
    }
    limits = Limits()
    assert limits.seconds <= most["max_execution_time"]
    assert limits.rows <= most["max_result_rows"]
    assert limits.memory <= most["max_memory_usage"]


@pytest.mark.parametrize("change", [change for change in CHANGES if "SET" not in change])
def test_a_question_changes_nothing_whoever_asks(tmp_path: Path, change: str) -> None:
    """Without a user of its own, too, for each question says that it only reads."""
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        warehouse.execute("CREATE TABLE events (id Int64) ENGINE = MergeTree ORDER BY id")
        with pytest.raises(WarehouseRefused):
            warehouse.query(change, None, Limits())
        assert warehouse.query("SELECT count() FROM events") == [(0,)]
        assert warehouse.query(
            "SELECT name FROM system.columns WHERE table = 'events' AND database = 'default'"
        ) == [("id",)]


def test_the_grants_can_be_read(tmp_path: Path) -> None:
    """The current engine understands each grant, and none is of anything but reading."""
    grants = [each.text or "" for each in ET.parse(READER).iter("query")]  # noqa: S314 - ours
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        for grant in grants:
            sql = f"{grant} TO touchline_reader"
            ((parsed,),) = warehouse.query("SELECT formatQuery({sql:String})", {"sql": sql})
            assert re.match(r"GRANT SELECT ON (touchline|system)\.", parsed)


def test_questions_go_to_the_reader(tmp_path: Path) -> None:
    """Questions and checks use the user who reads; migrations, and a flag, use the warehouse."""
    tables, nowhere = f"chdb://{tmp_path}/tables", "clickhouse://nobody@127.0.0.1:1/d"
    steps = ("--step", "page_viewed", "--json")

    def run(*words: str, warehouse: str, reader: str) -> int:
        environ = {"TOUCHLINE_WAREHOUSE": warehouse, "TOUCHLINE_WAREHOUSE_READER": reader}
        return CliRunner().invoke(cli, words, env=environ).exit_code

    assert run("warehouse", "migrate", warehouse=tables, reader=nowhere) == 0
    assert run("warehouse", "check", warehouse=nowhere, reader=tables) == 0
    assert run("funnel", *steps, warehouse=nowhere, reader=tables) == 0
    assert run("funnel", *steps, warehouse=tables, reader=nowhere) == 1
    flag = ("--warehouse", tables)
    assert run("funnel", *steps, *flag, warehouse=nowhere, reader=nowhere) == 0
    assert "sesame" not in repr(Settings(warehouse_reader="clickhouse://u:sesame@h/d"))
    with closing(open_warehouse(tables)) as warehouse:
        assert migrate(warehouse) == []


@pytest.mark.parametrize(
    "words",
    [
        ("funnel", "repeat-purchase"),
        ("live",),
        ("board",),
        ("ask", "retention"),
        ("warehouse", "check"),
    ],
    ids=" ".join,
)
def test_a_question_makes_no_warehouse(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Where there is none the error names the cure, and nothing is written in the wrong folder."""
    (tmp_path / "mine").mkdir()
    for folder in ("mine", "no/such"):
        asked = CliRunner().invoke(cli, [*words, "--warehouse", f"chdb://{tmp_path}/{folder}"])
        assert isinstance(asked.exception, WarehouseRefused), asked.output
        assert f"no warehouse in {tmp_path}/{folder}: name the one" in str(asked.exception)
        assert "`touchline warehouse migrate`" in str(asked.exception)
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_the_pages_of_a_sink_ask_as_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A funnel that somebody opens is no question of the user who writes, nor on its connection."""
    asked: list[Warehouse] = []
    monkeypatch.setattr(
        "streams.sink.add_sink_pages",
        lambda _app, _settings, warehouse, *_: asked.append(warehouse),
    )
    written = open_warehouse("clickhouse://writer@h/d")
    build_sink(Settings(warehouse_reader="clickhouse://looker@h/d"), written)
    build_sink(Settings(warehouse="clickhouse://writer@h/d"), written)
    build_sink(Settings(warehouse="chdb://folder"), written)
    assert [repr(each).partition("@")[0] for each in asked] == [
        "ServerWarehouse('looker",
        "ServerWarehouse('writer",
        "ServerWarehouse('writer",
    ]
    assert [each is written for each in asked] == [False, False, True]
