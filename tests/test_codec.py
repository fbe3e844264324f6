"""The codec: four records as Avro, read and written as Apache's own package does."""

import io
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import avro.io
import avro.schema
import msgspec
import pytest
from fastavro.schema import fingerprint as fastavro_fingerprint
from hypothesis import given
from strategies import ACTIONS, AVRO, DEAD_LETTERS, FACTS, KINDS, avsc, touchpoints

from schemas.codec import MAX_BYTES, Codec, DecodeError, EncodeError
from schemas.contracts import fingerprint, load_contract
from schemas.records import Action, DeadLetter, Fact, Touchpoint

CODEC = Codec()
ORDER = Touchpoint(
    event_id="e-1",
    user_id="u-1",
    occurred_at=1_715_833_800_000,
    kind="order_paid",
    payload={
        "order_id": "A-1",
        "amount_minor": 129_900,
        "currency": "CNY",
        "product": "",
        "quantity": 1,
    },
)
CONTRACTS = {
    "touchpoint": Touchpoint,
    "action_requested": Action,
    "fact": Fact,
    "dead_letter": DeadLetter,
}


def crc_64_avro(data: bytes) -> int:
    """Compute the fingerprint bit by bit, as the Avro specification states it."""
    empty = 0xC15D213AA4D7A795
    value = empty
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (empty & -(value & 1))
    return value


def avro_schema(name: str) -> avro.schema.Schema:
    """Return a contract as Apache's package parses it."""
    return avro.schema.parse((msgspec.json.encode(avsc(name))).decode())


def avro_reads(name: str, value: bytes) -> dict[str, Any]:
    """Read a value with the avro package; its datetimes become milliseconds."""
    schema = avro_schema(name)
    decoder = avro.io.BinaryDecoder(io.BytesIO(value[10:]))
    fields: Any = avro.io.DatumReader(schema, schema).read(decoder)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        key: (part - epoch) // timedelta(milliseconds=1) if isinstance(part, datetime) else part
        for key, part in fields.items()
    }


@pytest.mark.parametrize("name", CONTRACTS)
def test_record_has_the_fields_of_its_contract(name: str) -> None:
    """Each record in Python has the fields of the .avsc of its name, and ``kind`` if a union."""
    fields = {field["name"] for field in avsc(name)["fields"]}
    extra = {"kind"} if name == "touchpoint" else set()
    assert set(CONTRACTS[name].__struct_fields__) == fields | extra


@given(touchpoints())
def test_touchpoint_survives_the_wire(touchpoint: Touchpoint) -> None:
    """A touchpoint of any kind that the contract allows is read back as it was written."""
    assert CODEC.decode_touchpoint(CODEC.encode_touchpoint(touchpoint)) == touchpoint


@given(ACTIONS)
def test_action_survives_the_wire(action: Action) -> None:
    """An action is read back as it was written."""
    assert CODEC.decode_action(CODEC.encode_action(action)) == action


@given(FACTS)
def test_fact_survives_the_wire(fact: Fact) -> None:
    """A fact is read back as it was written."""
    assert CODEC.decode_fact(CODEC.encode_fact(fact)) == fact


@given(DEAD_LETTERS)
def test_dead_letter_survives_the_wire(letter: DeadLetter) -> None:
    """A dead letter is read back as it was written, with any bytes in it."""
    assert CODEC.decode_dead_letter(CODEC.encode_dead_letter(letter)) == letter


@given(touchpoints())
def test_apache_avro_reads_our_touchpoints(touchpoint: Touchpoint) -> None:
    """Apache's avro package, which knows the .avsc only, reads the same fields."""
    fields = msgspec.structs.asdict(touchpoint)
    del fields["kind"]
    assert avro_reads("touchpoint", CODEC.encode_touchpoint(touchpoint)) == fields


@given(FACTS.filter(lambda fact: 0 <= fact.at < 4_102_444_800_000))
def test_apache_avro_reads_our_facts(fact: Fact) -> None:
    """Apache's avro package reads the same fact, times in milliseconds."""
    assert avro_reads("fact", CODEC.encode_fact(fact)) == msgspec.structs.asdict(fact)


def test_we_read_what_apache_avro_writes() -> None:
    """A touchpoint that Apache's avro package wrote with the .avsc is read."""
    fields = msgspec.structs.asdict(ORDER)
    del fields["kind"]
    fields["occurred_at"] = datetime.fromtimestamp(ORDER.occurred_at / 1000, UTC)
    body = io.BytesIO()
    schema = avro_schema("touchpoint")
    avro.io.DatumWriter(schema).write(fields, avro.io.BinaryEncoder(body))
    header = CODEC.encode_touchpoint(ORDER)[:10]
    assert CODEC.decode_touchpoint(header + body.getvalue()) == ORDER


@pytest.mark.parametrize("name", CONTRACTS)
def test_header_is_the_fingerprint_of_the_specification(name: str) -> None:
    """The header holds CRC-64-AVRO of the canonical form, little-endian: logical types or not.

    The avro package leaves {"type": "long"} of a logical type, where the specification and Java
    have "long"; so the oracle reads a text without them.
    """
    text = (AVRO / f"{name}.avsc").read_text()
    text = text.replace('{"type": "long", "logicalType": "timestamp-millis"}', '"long"')
    canonical = avro.schema.parse(text).canonical_form
    expected = crc_64_avro(canonical.encode()).to_bytes(8, "little")
    assert fingerprint(avsc(name)) == expected
    assert fingerprint(load_contract(name).plain) == expected


@pytest.mark.parametrize(
    ("canonical", "expected"),
    [
        ('"null"', 7195948357588979594),
        ('"boolean"', -6970731678124411036),
        ('"int"', 8247732601305521295),
        ('"long"', -3434872931120570953),
    ],
)
def test_fingerprint_agrees_with_the_vectors_of_avro(canonical: str, expected: int) -> None:
    """Both our oracle and fastavro give the fingerprints of Avro's own test data."""
    assert crc_64_avro(canonical.encode()) == expected % 2**64
    assert bytes.fromhex(fastavro_fingerprint(canonical, "CRC-64-AVRO")) == struct.pack(
        "<q", expected
    )


@pytest.mark.parametrize("kind", KINDS)
def test_kind_is_the_payloads_name_in_snake_case(kind: str) -> None:
    """A touchpoint of every kind in the contract can be asked for by its snake-case name."""
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_touchpoint(msgspec.structs.replace(ORDER, kind=kind, payload={"nonsense": 1}))
    assert "kind" not in str(caught.value)
    assert "payload.nonsense is no field" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event_id": ""}, "event_id must be a string of 1 to 256 characters, not ''"),
        ({"user_id": "x" * 257}, "user_id must be a string of 1 to 256 characters"),
        ({"user_id": None}, "user_id must be a string of 1 to 256 characters, not null"),
        ({"occurred_at": -1}, "occurred_at must be a time from 1970 to 2099"),
        ({"occurred_at": 4_102_444_800_000}, "occurred_at must be a time from 1970 to 2099"),
        ({"kind": "OrderPaid"}, "kind 'OrderPaid' is unknown; did you mean order_paid?"),
        ({"kind": None}, "kind must be a string"),
        ({"payload": None}, "payload a dict of its fields"),
        ({"payload": {"order_id": "1"}}, "payload.amount_minor is missing"),
        ({"payload": ORDER.payload | {"amount_minor": 12.5}}, "integer of 64 bits, not 12.5"),
        ({"payload": ORDER.payload | {"quantity": 2**31}}, "quantity must be an integer of 32"),
        ({"payload": ORDER.payload | {"quantity": True}}, "quantity must be an integer of 32"),
        (
            {"kind": "attribute_set", "payload": {"name": "x", "value": float("nan")}},
            "payload.value must be",
        ),
        ({"channel": "x" * MAX_BYTES}, "a touchpoint has at most 262144"),
        ({"channel": "\ud800"}, "no Touchpoint as Avro"),
    ],
)
def test_what_the_contract_forbids_is_not_written(change: dict[str, Any], message: str) -> None:
    """A touchpoint that no reader would take is refused at its source, with the cure."""
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_touchpoint(msgspec.structs.replace(ORDER, **change))
    assert message in str(caught.value)


def test_defaults_of_the_payload_may_be_left_out() -> None:
    """A payload field with an Avro default is written with it when it is missing."""
    short = {"order_id": "A-1", "amount_minor": 129_900, "currency": "CNY"}
    value = CODEC.encode_touchpoint(msgspec.structs.replace(ORDER, payload=short))
    assert CODEC.decode_touchpoint(value) == ORDER


def test_an_action_with_a_wrong_type_is_not_written() -> None:
    """A record that is no Avro raises our own error, not one of fastavro's many."""
    action = Action(*["x"] * 5, {}, "soon", *["x"] * 8)  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="no ActionRequested as Avro"):
        CODEC.encode_action(action)


def test_records_of_one_contract_are_not_read_as_another() -> None:
    """A fact on the topic of touchpoints is an unknown schema there."""
    fact = CODEC.encode_fact(Fact("f", "u", "k", 0, "s", "", "", "event", "e", "r", "p", 1, {}))
    with pytest.raises(DecodeError) as caught:
        CODEC.decode_touchpoint(fact)
    assert caught.value.reason == "unknown_schema"


def test_a_dead_letter_holds_any_record_that_its_topic_takes() -> None:
    """The bound of touchpoints is not that of the dead letters that keep the refused ones."""
    letter = DeadLetter("touchpoints", 0, 0, 0, "too_large", "", b"k", bytes(4 * 1024 * 1024))
    assert CODEC.decode_dead_letter(CODEC.encode_dead_letter(letter)) == letter
