"""The tables' history: numbered SQL files, each applied once and in order."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

from sinks.deployment import KEPT, ONE_NODE, Deployment, days_kept
from sinks.tables import TABLES
from sinks.warehouse import Warehouse, WarehouseRefused

_DAY = 86_400_000
_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations
(
    version    UInt32,
    name       String,
    digest     String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY version
"""


@dataclass(frozen=True)
class Migration:
    """One file of ``sinks/ddl``: ``0001_name.sql``."""

    version: int
    name: str
    sql: str = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements, which the file ends with a semicolon at the end of a line."""
        return [text for part in self.sql.split(";\n") if (text := part.strip())]


def shipped_migrations() -> list[Migration]:
    """Return the migrations of this version of touchline, oldest first."""
    scripts = [file for file in files("sinks").joinpath("ddl").iterdir() if ".sql" in file.name]
    found = [
        Migration(int(file.name[:4]), file.name[5:].removesuffix(".sql"), file.read_text("utf-8"))
        for file in scripts
    ]
    return sorted(found, key=lambda migration: migration.version)


def migrate(warehouse: Warehouse, deployment: Deployment = ONE_NODE) -> list[Migration]:
    """Bring the tables up to date, and return the migrations that were applied now.

    Every statement may run again, so two processes may migrate at once, and one that dies
    half-way is finished by the next. Then each table forgets when ``deployment`` says.

    Raises:
        WarehouseRefused: an applied migration differs from the file of its number, the warehouse
            is newer than this program, or its tables are those of another deployment.
    """
    warehouse.execute(deployment.ledger(_LEDGER.strip()))
    applied = dict(warehouse.query("SELECT version, digest FROM migrations FINAL"))
    shipped = shipped_migrations()
    _check(applied, shipped)
    _check_place(warehouse, deployment)
    due = [migration for migration in shipped if migration.version not in applied]
    for migration in due:
        for statement in migration.statements:
            for rendered in deployment.render(statement):
                warehouse.execute(rendered)
        row = (migration.version, migration.name, migration.digest)
        warehouse.insert("migrations", ("version", "name", "digest"), [row])
    engines = _engines(warehouse)
    for table, days in deployment.keep_days.items():
        if deployment.differences(table, engines):
            for statement in deployment.forget(table, days):
                warehouse.execute(statement)
    return due


def drift(warehouse: Warehouse, deployment: Deployment = ONE_NODE) -> list[tuple[str, str]]:
    """Return in which ways each table is not what this version writes and ``deployment`` says."""
    found = set(
        warehouse.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()")
    )
    engines = _engines(warehouse)
    differences = []
    for table in TABLES:
        for name in dict.fromkeys((table.name, deployment.local(table.name))):
            missing = [column for column in table.columns if (name, column) not in found]
            differences += [(name, f"lacks the column {column}") for column in missing]
        differences += [(table.name, way) for way in deployment.differences(table.name, engines)]
    return differences


def kept_since(warehouse: Warehouse, now: int) -> dict[str, int]:
    """Return from when on each table that forgets has all its rows, in milliseconds since 1970.

    It is a day later than the table's own bound, so that nothing goes while it is looked at.
    """
    engines = _engines(warehouse)
    days = {
        table: days_kept(engines.get(f"{table}_local") or engines.get(table, "")) for table in KEPT
    }
    return {table: now - (kept - 1) * _DAY for table, kept in days.items() if kept}


def _engines(warehouse: Warehouse) -> dict[str, str]:
    """Return the engine of each table, with its keys and settings, by name."""
    sql = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"
    return dict(warehouse.query(sql))


def _check_place(warehouse: Warehouse, deployment: Deployment) -> None:
    """Refuse tables that are there already, but are not where they are to be."""
    engines = _engines(warehouse)
    for table in TABLES:
        distributed = "Distributed" in engines.get(
            table.name, "Distributed" * bool(deployment.cluster)
        )
        if distributed != bool(deployment.cluster):
            raise WarehouseRefused(
                f"the table {table.name} was made "
                f"{'for a cluster' if distributed else 'for one node'}, and the settings say "
                f"{deployment.cluster or 'one node'}: set the cluster as it was, or use another "
                "database and bring the log into it anew"
            )


def _check(applied: dict[int, str], shipped: list[Migration]) -> None:
    digests = {migration.version: migration.digest for migration in shipped}
    for version, digest in applied.items():
        if version not in digests:
            raise WarehouseRefused(
                f"the warehouse has migration {version}, which this touchline does not know: "
                "upgrade touchline"
            )
        if digests[version] != digest:
            raise WarehouseRefused(
                f"migration {version} was applied with another text: never edit an applied "
                "migration, add a new one"
            )
