"""Hypothesis strategies for the records of the log, drawn from the .avsc files themselves."""

import json
import os
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import schemas
from schemas.records import Action, Aggregate, DeadLetter, Fact, Progress, Touchpoint

AVRO = Path(schemas.__file__).parent / "avro"
END_OF_2099 = 4_102_444_799_999

IDS = st.text(min_size=1, max_size=256)
TIMES = st.integers(0, END_OF_2099)

_PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(max_size=40),
    "bytes": st.binary(max_size=80),
}


def avsc(name: str) -> dict[str, Any]:
    """Return a contract as its file states it."""
    schema: dict[str, Any] = json.loads((AVRO / f"{name}.avsc").read_text())
    return schema


def values(avro_type: Any) -> st.SearchStrategy[Any]:
    """Return the values of an Avro type."""
    if isinstance(avro_type, list):
        return st.one_of([values(branch) for branch in avro_type])
    if isinstance(avro_type, str):
        return _PRIMITIVES[avro_type]
    if avro_type["type"] == "array":
        return st.lists(values(avro_type["items"]), max_size=4)
    if avro_type["type"] == "map":
        return st.dictionaries(st.text(max_size=10), values(avro_type["values"]), max_size=4)
    if avro_type["type"] == "record":
        fields = {field["name"]: values(field["type"]) for field in avro_type["fields"]}
        return st.fixed_dictionaries(fields)
    return values(avro_type["type"])


def _records(name: str, struct: type) -> st.SearchStrategy[Any]:
    return values(avsc(name)).map(lambda fields: struct(**fields))


ACTIONS: st.SearchStrategy[Action] = _records("action_requested", Action)
FACTS: st.SearchStrategy[Fact] = _records("fact", Fact)
AGGREGATES: st.SearchStrategy[Aggregate] = _records("aggregate_updated", Aggregate)
PROGRESS: st.SearchStrategy[Progress] = _records("funnel_progressed", Progress)
DEAD_LETTERS: st.SearchStrategy[DeadLetter] = _records("dead_letter", DeadLetter)

PAYLOADS = {
    re.sub(r"(?<!^)([A-Z])", r"_\1", record["name"]).lower(): record
    for record in avsc("touchpoint")["fields"][-1]["type"]
}
KINDS = sorted(PAYLOADS)


@st.composite
def touchpoints(draw: st.DrawFn, kind: str = "") -> Touchpoint:
    """Draw a touchpoint that the contract allows, of this kind or of any."""
    kind = kind or draw(st.sampled_from(KINDS))
    text = st.text(max_size=20)
    return Touchpoint(
        event_id=draw(IDS),
        user_id=draw(IDS),
        occurred_at=draw(TIMES),
        kind=kind,
        payload=draw(values(PAYLOADS[kind])),
        backfill=draw(st.booleans()),
        channel=draw(text),
        source=draw(text),
        campaign=draw(text),
        staff=draw(text),
        community=draw(text),
    )


# Logs of a few people, for the fold: small alphabets, so that events meet.

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_700_000_000_000
"""Where the histories begin: a moment in November 2023."""

THOROUGH = settings(print_blob=True, deadline=None, max_examples=200)
"""A failure prints the blob that repeats it; the machine's speed is no failure."""

EXHAUSTIVE = settings(
    THOROUGH,
    max_examples=1_000 if os.environ.get("CI") else 300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `unlike` is for all examples
)
"""1,000 histories where it is asked for."""

Log = list[tuple[Touchpoint, int]]

_MONEY = {
    "order_id": st.sampled_from(("o1", "o2", "o3", "o4")),
    "amount_minor": st.sampled_from((0, 1, 100, 2_500, 5_000, 9_999)),
}
_SMALL_PAYLOADS = {
    "consent_changed": st.fixed_dictionaries(
        {
            "purpose": st.sampled_from(("marketing", "service")),
            "on_channel": st.sampled_from(("*", "sms")),
            "granted": st.booleans(),
        }
    ),
    "attribute_set": st.fixed_dictionaries(
        {
            "name": st.sampled_from(("city", "score")),
            "value": st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
        }
    ),
    "friend_added": st.just({"way": "qr"}),
    "friend_removed": st.just({"by_person": True}),
    "page_viewed": st.just({"page": "/", "category": "", "duration_ms": 0}),
    "group_joined": st.just({"way": ""}),
    "content_shared": st.fixed_dictionaries({"content": st.just("c"), "positive": st.booleans()}),
    "action_reported": st.just({"action_id": "a", "outcome": "read", "detail": ""}),
}
_ORDER_KINDS = ("order_paid", "order_paid", "order_refunded")


@st.composite
def neighbours(
    draw: st.DrawFn,
    *,
    number: int,
    people: tuple[str, ...] = ("ann",),
    hours: int = 6 * 24,
    currencies: tuple[str, ...] = ("USD",),
) -> Touchpoint:
    """Draw the event of this number, often on an order that other events are on too."""
    kind = draw(st.sampled_from((*_ORDER_KINDS, *_ORDER_KINDS, *_SMALL_PAYLOADS)))
    money = st.fixed_dictionaries({**_MONEY, "currency": st.sampled_from(currencies)})
    return Touchpoint(
        event_id=f"e{number}",
        user_id=draw(st.sampled_from(people)),
        occurred_at=START + draw(st.integers(0, hours)) * HOUR,
        kind=kind,
        payload=draw(_SMALL_PAYLOADS.get(kind, money)),
        backfill=draw(st.sampled_from((False, False, False, True))),
        staff=draw(st.sampled_from(("li", "wang"))),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Touchpoint]:
    """Draw the distinct events of one person within six days."""
    count = draw(st.integers(1, 14))
    return [draw(neighbours(number=number)) for number in range(count)]


@st.composite
def arrivals(draw: st.DrawFn, history: list[Touchpoint]) -> Log:
    """Draw an order of arrival: shuffled, with repeats, nothing later than a week after it."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=5))
    shuffled = draw(st.permutations([*history, *repeats]))
    clock = START + 6 * DAY
    waits = draw(st.lists(st.integers(0, 1), min_size=len(shuffled), max_size=len(shuffled)))
    log = []
    for touchpoint, wait in zip(shuffled, waits, strict=True):
        clock += wait * HOUR
        log.append((touchpoint, clock))
    return log


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Draw a log of three people with delays, repeats, late events and foreign currencies."""
    log: Log = []
    clock = START
    people, currencies = ("ann", "bob", "cai"), ("USD", "USD", "USD", "EUR")
    for number in range(draw(st.integers(1, 25))):
        clock += draw(st.sampled_from((0, 0, 1, 5, 30, 200))) * HOUR
        if log and draw(st.integers(0, 5)) == 0:
            touchpoint = draw(st.sampled_from(log))[0]
        else:
            drawn = draw(neighbours(number=number, people=people, currencies=currencies))
            delay = draw(st.sampled_from((0, 0, 0, 1, 24, 100, 400))) * HOUR
            touchpoint = replace(drawn, occurred_at=clock - delay)
        log.append((touchpoint, clock))
    return log


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    """Draw places at which a log of this length is cut into batches."""
    return st.lists(st.integers(0, length), max_size=5).map(lambda places: sorted(set(places)))
