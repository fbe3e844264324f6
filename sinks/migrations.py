"""The tables' history: numbered SQL files, each applied once and in order."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

from sinks.tables import TABLES
from sinks.warehouse import Warehouse, WarehouseRefused

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


def migrate(warehouse: Warehouse) -> list[Migration]:
    """Bring the tables up to date, and return the migrations that were applied now.

    Every statement may run again, so two processes may migrate at once, and one that dies
    half-way is finished by the next.

    Raises:
        WarehouseRefused: an applied migration differs from the file of its number, or the
            warehouse is newer than this program.
    """
    warehouse.execute(_LEDGER)
    applied = dict(warehouse.query("SELECT version, digest FROM migrations FINAL"))
    shipped = shipped_migrations()
    _check(applied, shipped)
    due = [migration for migration in shipped if migration.version not in applied]
    for migration in due:
        for statement in migration.statements:
            warehouse.execute(statement)
        row = (migration.version, migration.name, migration.digest)
        warehouse.insert("migrations", ("version", "name", "digest"), [row])
    return due


def drift(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return each column that this version writes and the warehouse lacks, by table."""
    found = set(
        warehouse.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()")
    )
    wanted = [(table.name, column) for table in TABLES for column in table.columns]
    return [column for column in wanted if column not in found]


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
