"""The figures of the demonstration: what the warehouse holds, in a few exact sums."""

from sinks.tables import TABLES
from sinks.warehouse import Warehouse


def rows_by_table(warehouse: Warehouse) -> dict[str, int]:
    """Return how many records of the log each table holds, each counted once."""
    return {
        table.name: warehouse.query(f"SELECT count() FROM {table.name} FINAL")[0][0]  # noqa: S608 - a constant
        for table in TABLES
    }


def revenue(warehouse: Warehouse) -> dict[str, int]:
    """Return the net revenue by currency in minor units: orders paid less orders refunded."""
    rows = warehouse.query("""
        SELECT currency, sum(if(kind = 'order_paid', amount_minor, -amount_minor))
        FROM touchpoints FINAL
        WHERE kind IN ('order_paid', 'order_refunded')
        GROUP BY currency
        ORDER BY currency
    """)
    return dict(rows)


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
