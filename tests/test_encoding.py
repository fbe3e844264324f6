"""Flat records are encoded as fastavro encodes them, byte for byte."""

import io
from collections.abc import Callable
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from strategies import ACTIONS, AGGREGATES, DEAD_LETTERS, FACTS, PROGRESS, avsc

from schemas.codec import Codec, EncodeError
from schemas.encoding import REMEMBERED, compile_encoder
from schemas.records import Fact, Progress

CODEC = Codec()
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "action_requested": CODEC.encode_action,
    "aggregate_updated": CODEC.encode_aggregate,
    "dead_letter": CODEC.encode_dead_letter,
    "fact": CODEC.encode_fact,
    "funnel_progressed": CODEC.encode_progress,
}
RECORDS = {
    "action_requested": ACTIONS,
    "aggregate_updated": AGGREGATES,
    "dead_letter": DEAD_LETTERS,
    "fact": FACTS,
    "funnel_progressed": PROGRESS,
}
FACT = Fact("f", "u", "k", 0, "s", "", "", "event", "e", "r", "p", 1, {})


def without_logical_types(part: Any) -> Any:
    """Return a schema that takes integers where the contract has times."""
    if isinstance(part, dict):
        return {k: without_logical_types(v) for k, v in part.items() if k != "logicalType"}
    return [without_logical_types(each) for each in part] if isinstance(part, list) else part


SCHEMAS = {name: fastavro.parse_schema(without_logical_types(avsc(name))) for name in RECORDS}


def fastavro_writes(name: str, record: msgspec.Struct) -> bytes:
    """Return the Avro body of a record by fastavro."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMAS[name], msgspec.structs.asdict(record))
    return stream.getvalue()


@pytest.mark.parametrize("name", RECORDS)
def test_flat_records_are_encoded_as_fastavro_encodes_them(name: str) -> None:
    """Any record of a flat contract has the bytes that fastavro gives it, after its header."""

    @given(RECORDS[name])
    def check(record: Any) -> None:
        assert ENCODERS[name](record)[10:] == fastavro_writes(name, record)

    check()


@pytest.mark.parametrize("size", [1, 62, 63, 64, 65, 127, 128, 8191, 8192, 70_000])
@pytest.mark.parametrize("character", ["x", "é", "精", "🙂"])
def test_long_texts_are_encoded_as_fastavro_encodes_them(size: int, character: str) -> None:
    """Lengths of one byte, of two and of three; in a field and in a map."""
    new = value = character * size
    fact = msgspec.structs.replace(FACT, new=new, values={value: new, "": value})
    assert CODEC.encode_fact(fact)[10:] == fastavro_writes("fact", fact)


def test_encodings_that_are_forgotten_are_the_same_when_they_return() -> None:
    """More values than are remembered, twice: people, causes and times that come and go."""
    for _ in range(2):
        for number in range(REMEMBERED + 100):
            user, at = f"u-{number}", 1_790_000_000_000 + number
            fact = msgspec.structs.replace(FACT, user_id=user, at=at, cause_id=user)
            assert CODEC.encode_fact(fact)[10:] == fastavro_writes("fact", fact)


@pytest.mark.parametrize(
    "change",
    [
        {"at": 1 << 63},
        {"at": -(1 << 63) - 1},
        {"at": "soon"},
        {"at": None},
        {"playbook_version": 1 << 31},
        {"subject": b"bytes"},
        {"subject": None},
        {"subject": 7},
        {"rule": "\ud800"},
        {"values": {"frequency": 4}},
        {"values": {4: "frequency"}},
        {"values": None},
    ],
)
def test_a_value_that_is_not_of_its_type_is_not_written(change: dict[str, Any]) -> None:
    """A wrong type, a number beyond its bits or half a character: the contract allows none."""
    with pytest.raises(EncodeError, match="no Fact as Avro"):
        CODEC.encode_fact(msgspec.structs.replace(FACT, **change))


def test_an_entry_of_a_list_that_is_no_number_is_not_written() -> None:
    """The type of each entry is that of the contract, too."""
    progress = Progress("f", "d", "u", 0, 1, ["soon"], best=True, exact=True, version=1)  # type: ignore[list-item]
    with pytest.raises(EncodeError, match="no FunnelProgressed as Avro"):
        CODEC.encode_progress(progress)


def test_a_contract_with_another_type_is_refused_at_once() -> None:
    """An encoder for a type that it does not know would be a guess."""
    schema = {"type": "record", "name": "R", "fields": [{"name": "price", "type": "double"}]}
    with pytest.raises(ValueError, match="'double' is no Avro type of the records"):
        compile_encoder(schema)
