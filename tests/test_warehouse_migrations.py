"""The migrations of the warehouse: each once, whole, as it was, and no newer one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from table_records import FACT, PLACE

from sinks import migrations
from sinks.migrations import Migration, drift, migrate
from sinks.summary import rows_by_table
from sinks.tables import FACTS
from sinks.warehouse import Warehouse, WarehouseRefused, open_warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """The tables of the log, empty."""
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        migrate(warehouse)
        yield warehouse


def test_migrating_again_changes_nothing(warehouse: Warehouse) -> None:
    """Each migration is applied once and recorded, and the rows stay."""
    warehouse.insert("facts", FACTS.columns, [FACTS.row(PLACE, FACT)])
    assert migrate(warehouse) == []
    assert rows_by_table(warehouse)["facts"] == 1
    recorded = warehouse.query("SELECT version, name FROM migrations FINAL ORDER BY 1")
    assert recorded == [(each.version, each.name) for each in migrations.shipped_migrations()]
    assert recorded[:2] == [(1, "tables_of_the_log"), (2, "how_to_perform_an_action")]


def test_a_migration_that_died_half_way_is_finished(warehouse: Warehouse) -> None:
    """The next run completes what a crash left, before it is recorded."""
    warehouse.execute("TRUNCATE TABLE migrations")
    warehouse.execute("DROP TABLE actions SYNC")
    assert migrate(warehouse) == migrations.shipped_migrations()
    assert rows_by_table(warehouse)["actions"] == 0


def test_an_edited_migration_is_refused(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration whose text changed after it was applied stops the program."""
    edited = [
        Migration(1, "tables_of_the_log", "SELECT 1;\n"),
        *migrations.shipped_migrations()[1:],
    ]
    monkeypatch.setattr(migrations, "shipped_migrations", lambda: edited)
    with pytest.raises(WarehouseRefused, match="never edit an applied migration"):
        migrate(warehouse)


def test_a_newer_warehouse_is_refused(warehouse: Warehouse) -> None:
    """A program older than the tables does not write to them."""
    warehouse.insert("migrations", ("version", "name", "digest"), [(99, "later", "?")])
    with pytest.raises(WarehouseRefused, match="upgrade touchline"):
        migrate(warehouse)


def test_a_column_that_is_missing_is_named(warehouse: Warehouse) -> None:
    """What another hand did to the tables is found before the sink stops at it."""
    assert drift(warehouse) == []
    warehouse.execute("ALTER TABLE facts DROP COLUMN rule")
    assert drift(warehouse) == [("facts", "lacks the column rule")]
