"""Tables on a cluster, and tables that forget: statements that ClickHouse reads, and runs.

A cluster of one node, which is this process, is as far as chdb goes: it has no Keeper, so replicas
and ``ON CLUSTER`` are read, not run. What is run is those statements without these words.
"""

import json
import random
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from chdb import session
from click.testing import CliRunner
from funnel_oracle import Rules, histories, path, rows

from schemas.records import Touchpoint
from sinks.condition import Condition
from sinks.deployment import ONE_NODE, Deployment
from sinks.embedded import EmbeddedWarehouse
from sinks.funnel import run_funnel
from sinks.funnel_spec import Funnel, Step
from sinks.migrations import drift, migrate, shipped_migrations
from sinks.retention import Retention, retention
from sinks.summary import rows_by_table
from sinks.tables import TABLES, TOUCHPOINTS
from sinks.warehouse import Limits, Warehouse, WarehouseRefused, open_warehouse
from streams.cli import cli
from streams.settings import Settings, SettingsError

DAY = 86_400_000
CLUSTER = Deployment("two-by-two", {"touchpoints": 730})
CONFIG = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><one><shard><replica>
<host>127.0.0.1</host><port>9000</port></replica></shard></one></remote_servers></clickhouse>"""
STATEMENTS = [text for migration in shipped_migrations() for text in migration.statements]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """ClickHouse in this process, empty."""
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        yield warehouse


class OneShard(EmbeddedWarehouse):
    """A node that is a cluster by itself, without Keeper: it runs what is left without replicas."""

    def execute(self, sql: str) -> None:
        """Run a statement on this node."""
        sql = re.sub(r"Replicated(\w+)\('/clickhouse[^)]*\)", r"\1", sql)
        super().execute(sql.replace("ON CLUSTER 'one'", "").replace("= Replicated", "= "))


@pytest.fixture
def sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """Distributed tables over this very process."""
    (tmp_path / "config.xml").write_text(CONFIG)
    whole = session.Session
    opened = f"&--config-file={tmp_path / 'config.xml'}"
    monkeypatch.setattr(session, "Session", lambda folder: whole(f"file:{folder}{opened}"))
    with closing(OneShard(tmp_path / "tables")) as warehouse:
        yield warehouse


def _parsed(warehouse: Warehouse, statement: str) -> str:
    """Return the statement as ClickHouse writes what it understood."""
    ((text,),) = warehouse.query("SELECT formatQuery({sql:String})", {"sql": statement})
    return str(text)


@pytest.mark.parametrize("statement", STATEMENTS, ids=range(len(STATEMENTS)))
def test_every_migration_can_be_done_on_a_cluster(warehouse: Warehouse, statement: str) -> None:
    """All statements go to all nodes; rows lie in replicated tables; ClickHouse can read them."""
    for rendered in CLUSTER.render(statement):
        parsed = _parsed(warehouse, rendered)
        assert "ON CLUSTER `two-by-two`" in parsed
        if "CREATE TABLE" in parsed:
            assert ("_local ON CLUSTER" in parsed) == ("= Replicated" in parsed)
            assert ("= Replicated" in parsed) != ("= Distributed('two-by-two'" in parsed)
        if "PROJECTION" in parsed or "MODIFY SETTING" in parsed:
            assert re.search(r"ALTER TABLE \w+_local ON CLUSTER", parsed)


def test_one_node_is_the_default(warehouse: Warehouse) -> None:
    """Without a cluster, statements are run as they are written."""
    assert [ONE_NODE.render(statement) for statement in STATEMENTS] == [[s] for s in STATEMENTS]
    assert "Replicated" not in ONE_NODE.ledger("CREATE TABLE IF NOT EXISTS m\nENGINE = Log")


def test_a_statement_that_nobody_thought_of(warehouse: Warehouse) -> None:
    """A migration of another kind does not silently run on one node of many."""
    with pytest.raises(ValueError, match="cannot be done on a cluster"):
        CLUSTER.render("RENAME TABLE a TO b")


def test_questions_and_writers_do_not_know_of_the_cluster(sharded: Warehouse) -> None:
    """Through distributed tables come the same answers, also of what is stored twice."""
    deployment = Deployment("one")
    assert len(migrate(sharded, deployment)) == len(shipped_migrations())
    assert migrate(sharded, deployment) == []
    assert drift(sharded, deployment) == []
    people = histories(random.Random(7), 300, longest=6)  # noqa: S311 - test data
    stored = rows(people)
    for _ in range(2):
        sharded.insert("touchpoints", TOUCHPOINTS.columns, stored)
    assert rows_by_table(sharded)["touchpoints"] == len(stored)
    assert sharded.query("SELECT count() > 0 FROM touchpoints_local") == [(True,)]

    kinds = ("page_viewed", "friend_added", "order_paid")
    for lateness in (None, 10**13):  # the second asks the dead letters, too
        funnel = Funnel(
            "f", tuple(Step(kind, Condition.of(kind)) for kind in kinds), 6, lateness_ms=lateness
        )
        rules = Rules(tuple(lambda e, kind=kind: e.kind == kind for kind in kinds), 6)  # type: ignore[misc]
        taken = [len(path(events, rules)) for events in people.values()]
        assert [step.people for step in run_funnel(sharded, funnel).steps] == [
            sum(length >= k for length in taken) for k in (1, 2, 3)
        ]
    returned = retention(sharded, Retention(Condition.of(kinds[0]), Condition.of(kinds[2])))
    assert sum(cohort.people for cohort in returned) == sum(length >= 1 for length in taken)


def test_every_table_has_its_rows_sharded(sharded: Warehouse) -> None:
    """Each table of the log is distributed by columns that it has."""
    migrate(sharded, Deployment("one"))
    engines = dict(
        sharded.query("SELECT name, engine FROM system.tables WHERE database = 'default'")
    )
    for table in TABLES:
        assert engines[table.name] == "Distributed"
        assert engines[f"{table.name}_local"] == "ReplacingMergeTree"


def test_tables_of_another_place_are_refused(warehouse: Warehouse) -> None:
    """A cluster that is set later does not split a table in two; the cure is named."""
    migrate(warehouse)
    assert ("facts", "is not distributed over the cluster c") in drift(warehouse, Deployment("c"))
    # The ledger comes first and would need Keeper; what matters is what follows it.
    with pytest.raises(WarehouseRefused):
        migrate(warehouse, Deployment("c"))


def test_tables_of_a_cluster_are_refused_without_it(sharded: Warehouse) -> None:
    """Forgetting the setting is said; nothing is changed."""
    migrate(sharded, Deployment("one"))
    with pytest.raises(WarehouseRefused, match=r"for a cluster.*set the cluster as it was"):
        migrate(sharded)


def _kept(warehouse: Warehouse) -> list[str]:
    warehouse.execute("OPTIMIZE TABLE touchpoints FINAL")
    found = warehouse.query("SELECT event_id FROM touchpoints FINAL ORDER BY 1", None, Limits())
    return [event_id for (event_id,) in found]


def test_old_months_go_when_they_may(warehouse: Warehouse) -> None:
    """Rows go by when they were appended; another number is another TTL; 0 is for ever again."""
    ((now,),) = warehouse.query("SELECT toUnixTimestamp64Milli(now64(3))")
    migrate(warehouse)
    assert "TTL" not in _engine(warehouse)
    month = Deployment(keep_days={"touchpoints": 90})
    assert drift(warehouse, month) == [("touchpoints", "keeps rows for ever, not for 90")]
    assert migrate(warehouse, month) == []
    assert drift(warehouse, month) == []
    for days in (1, 400):
        place = ("touchpoints", 0, days, now - days * DAY)
        row = TOUCHPOINTS.row(place, Touchpoint(f"{days}", "u", now, "page_viewed", {}))
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, [row])
    assert _kept(warehouse) == ["1"]

    created = _engine(warehouse)
    migrate(warehouse, month)
    migrate(warehouse)  # a process that was not told leaves it as it is
    assert _engine(warehouse) == created
    migrate(warehouse, Deployment(keep_days={"touchpoints": 730}))
    assert "toIntervalDay(730)" in _engine(warehouse)
    migrate(warehouse, Deployment(keep_days={"touchpoints": 0}))
    assert "TTL" not in _engine(warehouse)
    assert drift(warehouse, Deployment(keep_days={"touchpoints": 0})) == []


def _engine(warehouse: Warehouse) -> str:
    ((engine,),) = warehouse.query(
        "SELECT engine_full FROM system.tables WHERE name = 'touchpoints'"
    )
    return str(engine)


@pytest.mark.parametrize("days", [0, 730])
def test_forgetting_on_a_cluster_can_be_read(warehouse: Warehouse, days: int) -> None:
    """The statements of a cluster go to the tables that hold the rows."""
    for statement in CLUSTER.forget("touchpoints", days):
        parsed = _parsed(warehouse, statement)
        assert parsed.startswith("ALTER TABLE touchpoints_local ON CLUSTER `two-by-two`")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("touchpoint=3", "did you mean touchpoints"),
        ("aggregates=3", "may forget"),
        ("facts", "facts=DAYS"),
        ("facts=-1", "facts=DAYS"),
        ("facts=a year", "facts=DAYS"),
    ],
)
def test_settings_that_make_no_sense(written: str, why: str) -> None:
    """They are told before anything is opened, with the cure."""
    with pytest.raises(SettingsError, match=f"TOUCHLINE_KEEP_DAYS: .*{why}"):
        Settings.load({"TOUCHLINE_KEEP_DAYS": written})
    with pytest.raises(ValueError, match="not the name of a cluster"):
        Deployment("c' SYNC")


def test_the_command_applies_and_checks_them(tmp_path: Path) -> None:
    """``migrate`` may run again and again; ``check`` says what differs and exits with 1."""
    url = f"chdb://{tmp_path}/tables"

    def run(*words: str) -> tuple[int, Any]:
        result = CliRunner().invoke(cli, ["warehouse", *words, "--json", "--warehouse", url])
        return result.exit_code, json.loads(result.stdout)

    wanted = ("--keep-days", "facts=30,actions=60")
    assert run("migrate")[1]["applied"]
    code, differences = run("check", *wanted)
    assert code == 1
    assert {each["table"] for each in differences} == {"facts", "actions"}
    for _ in range(2):
        assert run("migrate", *wanted) == (0, {"applied": []})
    assert run("check", *wanted) == (0, [])
    assert run("check") == (0, [])
