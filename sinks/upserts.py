"""The newest rows of the tables whose rows replace one another, under the keys of their topics."""

from typing import NamedTuple

from sinks.sql import Params
from sinks.tables import AGGREGATES, FUNNEL_PROGRESS
from sinks.warehouse import Limits, Warehouse

# The ``key`` of schemas.records, in SQL.
_KEYS = {
    AGGREGATES.name: (
        "concat(grain, '/', toString(toUnixTimestamp64Milli(start)), '/', toString(block))"
    ),
    FUNNEL_PROGRESS.name: (
        "concat(definition, '/', toString(toUnixTimestamp64Milli(day)), '/', "
        "multiIf(best, 'best', exact, 'exact', 'unsure'), '/', user_id)"
    ),
}


class Newest(NamedTuple):
    """The highest version of a key, and the offset that it came from."""

    version: int
    offset: int


def newest(
    warehouse: Warehouse, table: str, topic: str, partition: int, part: tuple[int, int]
) -> dict[str, Newest]:
    """Return the rows of a partition of a topic, by key.

    Args:
        warehouse: Where.
        table: One whose rows replace one another.
        topic: Its topic.
        partition: The topic's.
        part: Which keys, and of how many parts: those whose CRC-32 leaves this remainder.
    """
    params = Params()
    sql = f"""
        SELECT {_KEYS[table]} AS key, version, offset FROM {table} FINAL
        WHERE topic = {params.text(topic)} AND partition = {params.whole(partition)}
          AND CRC32(key) % {params.whole(part[1])} = {params.whole(part[0])}
    """  # noqa: S608 - constants, and parameters
    rows = warehouse.query(sql, params.values, Limits(seconds=600))
    return {key: Newest(version, offset) for key, version, offset in rows}
