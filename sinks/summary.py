"""What the warehouse holds, for the pages of a sink: how many rows, and the latest dead letters."""

from sinks.tables import TABLES
from sinks.warehouse import Warehouse


def rows_by_table(warehouse: Warehouse) -> dict[str, int]:
    """Return how many records of the log each table holds, each counted once."""
    return {
        table.name: warehouse.query(f"SELECT count() FROM {table.name} FINAL")[0][0]  # noqa: S608 - a constant
        for table in TABLES
    }


def latest_dead_letters(warehouse: Warehouse, limit: int = 20) -> list[tuple[str, str, str]]:
    """Return the newest dead letters: the place of the record, the reason and its explanation."""
    return warehouse.query(
        """
        SELECT concat(source_topic, '/', toString(source_partition), '/', toString(source_offset)),
               reason, detail
        FROM dead_letters FINAL
        ORDER BY appended_at DESC, topic, partition, offset DESC
        LIMIT {limit:UInt32}
        """,
        {"limit": limit},
    )
