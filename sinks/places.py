"""Which places of the log have a row in the warehouse: what the ledger holds against the log.

Offsets are told as words of 64 bits, a bit for each place, so that the answer about millions of
rows is small and still exact.
"""

from typing import Any, NamedTuple

from sinks.sql import Params
from sinks.warehouse import Limits, Warehouse

WORD = 64
STEP = 1 << 22
"""Offsets asked for at once: their words stay below the limit of rows of an answer."""

_LIMITS = Limits(seconds=600)


class Window(NamedTuple):
    """Offsets of one partition of a topic, from ``since`` to before ``until``."""

    topic: str
    partition: int
    since: int
    until: int


class Held(NamedTuple):
    """What the warehouse has of a partition of a topic."""

    rows: int
    first: int
    last: int


class Words(NamedTuple):
    """The places of a window that have rows."""

    rows: int
    """How many rows; more than places where one has two."""
    bits: dict[int, int]
    """By ``offset // 64``: bit ``offset % 64`` is set where there is a row."""


def held(warehouse: Warehouse, table: str) -> dict[tuple[str, int], Held]:
    """Return what the warehouse has, by topic and partition."""
    sql = f"""
        SELECT topic, partition, count(), min(offset), max(offset)
        FROM {table} FINAL GROUP BY topic, partition
    """  # noqa: S608 - a constant of sinks.tables
    return {(topic, number): Held(*rest) for topic, number, *rest in _ask(warehouse, sql, Params())}


def words(warehouse: Warehouse, table: str, window: Window) -> Words:
    """Return the places of a window that have rows; it may span `STEP` offsets."""
    params = Params()
    sql = f"""
        SELECT intDiv(offset, {WORD}) AS word, count(),
               groupBitOr(bitShiftLeft(toUInt64(1), toUInt8(offset % {WORD})))
        FROM {table} FINAL WHERE {_inside(window, params)} GROUP BY word
    """  # noqa: S608 - constants, and parameters
    found = _ask(warehouse, sql, params)
    return Words(sum(rows for _, rows, _ in found), {word: bits for word, _, bits in found})


def doubled(warehouse: Warehouse, table: str, window: Window) -> dict[int, int]:
    """Return the offsets of a window that have several rows, at most 1,000, and how many more."""
    params = Params()
    sql = f"""
        SELECT offset, count() - 1 FROM {table} FINAL WHERE {_inside(window, params)}
        GROUP BY offset HAVING count() > 1 ORDER BY offset LIMIT 1000
    """  # noqa: S608 - constants, and parameters
    return dict(_ask(warehouse, sql, params))


def rows_and_places(
    warehouse: Warehouse, table: str, windows: list[Window], since: int = 0
) -> dict[tuple[str, int], tuple[int, int]]:
    """Return how many rows each window has, and at how many different places.

    Rows that were appended before ``since`` (milliseconds) are left out.
    """
    params = Params()
    sql = f"""
        SELECT topic, partition, count(), uniqExact(offset) FROM {table} FINAL
        WHERE ({" OR ".join(f"({_inside(window, params)})" for window in windows)})
          AND appended_at >= fromUnixTimestamp64Milli({params.whole(since)}, 'UTC')
        GROUP BY topic, partition
    """  # noqa: S608 - constants, and parameters
    found = _ask(warehouse, sql, params)
    return {(topic, number): (rows, places) for topic, number, rows, places in found}


def dead_places(warehouse: Warehouse, window: Window) -> dict[int, int]:
    """Return the places of a window of touchpoints that have a dead letter, as `Words.bits`."""
    params = Params()
    sql = f"""
        SELECT intDiv(source_offset, {WORD}) AS word,
               groupBitOr(bitShiftLeft(toUInt64(1), toUInt8(source_offset % {WORD})))
        FROM dead_letters WHERE {_inside(window, params, "source_")} GROUP BY word
    """  # noqa: S608 - constants, and parameters
    return dict(_ask(warehouse, sql, params))


def _inside(window: Window, params: Params, of: str = "") -> str:
    return (
        f"{of}topic = {params.text(window.topic)} "
        f"AND {of}partition = {params.whole(window.partition)} "
        f"AND {of}offset >= {params.whole(window.since)} "
        f"AND {of}offset < {params.whole(window.until)}"
    )


def _ask(warehouse: Warehouse, sql: str, params: Params) -> list[tuple[Any, ...]]:
    return warehouse.query(sql, params.values, _LIMITS)
