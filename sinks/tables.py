"""The tables of the log: which columns each has, and the row that each record becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from schemas.records import Action, Aggregate, DeadLetter, Fact, Progress, Touchpoint

_Record = TypeVar("_Record")
_json = msgspec.json.Encoder()


class Place(NamedTuple):
    """Where a record lies in the log.

    It identifies a row of what was sent once, so a replayed record is one row. An upsert is known
    by its own key instead, and the highest version stays: see ``ddl/0030`` and ``ddl/0040``.
    """

    topic: str
    partition: int
    offset: int
    appended_at: int


@dataclass(frozen=True)
class Table(Generic[_Record]):
    """A table: ``insert(table.name, table.columns, [table.row(place, record), ...])``."""

    name: str
    columns: tuple[str, ...]
    row: Callable[[tuple[str, int, int, int], _Record], tuple[Any, ...]]
    upserts: bool = False
    """Whether a row replaces those of its key: else each record of the log has its own."""


def _touchpoint(place: tuple[str, int, int, int], touchpoint: Touchpoint) -> tuple[Any, ...]:
    payload = touchpoint.payload
    return (
        touchpoint.event_id,
        touchpoint.user_id,
        touchpoint.occurred_at,
        touchpoint.kind,
        touchpoint.backfill,
        touchpoint.channel,
        touchpoint.source,
        touchpoint.campaign,
        touchpoint.staff,
        touchpoint.community,
        _json.encode(payload).decode(),
        payload.get("amount_minor", 0),
        payload.get("currency", ""),
        payload.get("order_id", ""),
        *place,
    )


def _as_it_is(place: tuple[str, int, int, int], record: msgspec.Struct) -> tuple[Any, ...]:
    return (*msgspec.structs.astuple(record), *place)


TOUCHPOINTS: Table[Touchpoint] = Table(
    "touchpoints",
    (
        "event_id",
        "user_id",
        "occurred_at",
        "kind",
        "backfill",
        "channel",
        "source",
        "campaign",
        "staff",
        "community",
        "payload",
        "amount_minor",
        "currency",
        "order_id",
        *Place._fields,
    ),
    _touchpoint,
)
FACTS: Table[Fact] = Table("facts", (*Fact.__struct_fields__, *Place._fields), _as_it_is)
ACTIONS: Table[Action] = Table("actions", (*Action.__struct_fields__, *Place._fields), _as_it_is)
AGGREGATES: Table[Aggregate] = Table(
    "aggregates", (*Aggregate.__struct_fields__, *Place._fields), _as_it_is, upserts=True
)
FUNNEL_PROGRESS: Table[Progress] = Table(
    "funnel_progress", (*Progress.__struct_fields__, *Place._fields), _as_it_is, upserts=True
)
DEAD_LETTERS: Table[DeadLetter] = Table(
    "dead_letters",
    # The record's own place is that of its source.
    tuple(
        f"source_{name}" if name in Place._fields else name for name in DeadLetter.__struct_fields__
    )
    + Place._fields,
    _as_it_is,
)
TABLES = (TOUCHPOINTS, FACTS, ACTIONS, DEAD_LETTERS, AGGREGATES, FUNNEL_PROGRESS)
