"""Bad bytes: the codec says what is wrong with a stable code, and raises nothing else."""

import pickle
from collections.abc import Callable
from io import BytesIO
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIONS, DEAD_LETTERS, FACTS, avsc, touchpoints

from schemas.codec import Codec, DecodeError
from schemas.records import Aggregate, Touchpoint

CODEC = Codec()
REASONS = {"empty_value", "truncated", "unknown_schema", "wrong_bytes", "too_large", "invalid"}
ORDER = Touchpoint(
    "e-1",
    "u-1",
    1_715_833_800_000,
    "order_paid",
    {"order_id": "A-1", "amount_minor": 99, "currency": "CNY", "product": "", "quantity": 1},
)
VALUE = CODEC.encode_touchpoint(ORDER)
HEADER = VALUE[:10]
# e-1, u-1, a time, not a backfill, no channel, source, campaign, staff, community.
ENVELOPE = VALUE[10 : VALUE.index(b"A-1") - 2]

VALUES = st.one_of(
    touchpoints().map(CODEC.encode_touchpoint),
    ACTIONS.map(CODEC.encode_action),
    FACTS.map(CODEC.encode_fact),
    DEAD_LETTERS.map(CODEC.encode_dead_letter),
)
HEADERS = VALUES.map(lambda value: value[:10])


def decoders() -> list[Callable[[bytes | None], Any]]:
    """Return the decoder of each record type."""
    return [
        CODEC.decode_touchpoint,
        CODEC.decode_action,
        CODEC.decode_fact,
        CODEC.decode_dead_letter,
    ]


def refused(value: bytes | None, codec: Codec = CODEC) -> DecodeError:
    """Return the error with which a touchpoint is refused."""
    with pytest.raises(DecodeError) as caught:
        codec.decode_touchpoint(value)
    return caught.value


def survives(value: bytes) -> None:
    """Pass if every decoder reads the value or refuses it with one of the reasons."""
    for decode in decoders():
        reason = ""
        try:
            decode(value)
        except DecodeError as error:
            reason = error.reason
        assert reason in {"", *REASONS}


def written(**change: Any) -> bytes:
    """Write a touchpoint with fastavro itself, which checks nothing."""
    fields = msgspec.structs.asdict(ORDER) | change
    fields.setdefault("payload", ORDER.payload)
    if isinstance(fields["payload"], dict):
        fields["payload"] = ("touchline.OrderPaid", fields["payload"])
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(avsc("touchpoint")), fields)
    return HEADER + stream.getvalue()


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_decode_errors(value: bytes) -> None:
    """Any bytes at all are read or refused with one of the reasons."""
    survives(value)


@given(HEADERS, st.binary(max_size=200))
def test_random_bodies_raise_nothing_but_decode_errors(header: bytes, body: bytes) -> None:
    """Any bytes after a good header are read or refused with one of the reasons."""
    survives(header + body)


@given(VALUES, st.data())
def test_mutated_records_raise_nothing_but_decode_errors(value: bytes, data: st.DataObject) -> None:
    """A record with some bytes changed is read or refused with one of the reasons."""
    mutated = bytearray(value)
    places = data.draw(st.lists(st.integers(0, len(value) - 1), min_size=1, max_size=5))
    for place in places:
        mutated[place] = data.draw(st.integers(0, 255))
    survives(bytes(mutated))


@given(touchpoints())
def test_a_touchpoint_cut_anywhere_is_truncated(touchpoint: Touchpoint) -> None:
    """A touchpoint cut after any of its bytes is told to be truncated, and never read."""
    value = CODEC.encode_touchpoint(touchpoint)
    reasons = {refused(value[:length]).reason for length in range(1, len(value))}
    assert reasons == {"truncated"}


@given(st.one_of(DEAD_LETTERS), st.data())
def test_a_dead_letter_cut_anywhere_is_truncated(letter: Any, data: st.DataObject) -> None:
    """A dead letter cut after any of its bytes is truncated: none ends in a shorter value."""
    value = CODEC.encode_dead_letter(letter)
    length = data.draw(st.integers(1, len(value) - 1))
    with pytest.raises(DecodeError, match=r"^truncated"):
        CODEC.decode_dead_letter(value[:length])


@given(VALUES, st.binary(min_size=1, max_size=20))
def test_bytes_after_the_record_are_wrong(value: bytes, extra: bytes) -> None:
    """Bytes after the end of a record are never passed over."""
    for decode in decoders():
        with pytest.raises(DecodeError) as caught:
            decode(value + extra)
        assert caught.value.reason in {"wrong_bytes", "unknown_schema"}


@pytest.mark.parametrize("value", [None, b""])
def test_no_value_is_an_empty_value(value: bytes | None) -> None:
    """A record without a value, such as a tombstone, holds no touchpoint."""
    assert refused(value).reason == "empty_value"


@pytest.mark.parametrize("value", [b"{", b'{"event_id": "e"}', b"\xc3\x02", b"\x01", b"\xff" * 20])
def test_a_foreign_format_is_wrong_bytes(value: bytes) -> None:
    """What starts as none of the two formats does is told by its first bytes."""
    error = refused(value)
    assert error.reason == "wrong_bytes"
    assert value[:2].hex(" ") in error.detail


def test_an_unknown_fingerprint_is_an_unknown_schema() -> None:
    """A fingerprint that no shipped version has names itself."""
    error = refused(b"\xc3\x01" + bytes(range(8)) + VALUE[10:])
    assert error.reason == "unknown_schema"
    assert "0001020304050607" in error.detail


def test_confluents_format_without_a_registry_is_an_unknown_schema() -> None:
    """A value of Confluent's format names its schema's id and what is missing to read it."""
    error = refused(b"\x00\x00\x00\x00\x07" + VALUE[10:])
    assert error.reason == "unknown_schema"
    assert error.detail == "schema 7 is in a schema registry, and none is configured"


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_half_a_confluent_header_is_truncated(length: int) -> None:
    """A value of Confluent's format that ends in its header is truncated."""
    assert refused(b"\x00\x00\x00\x00\x07"[:length]).reason == "truncated"


@pytest.mark.parametrize("size", [262_145, 2_000_000])
def test_a_value_over_the_bound_is_too_large(size: int) -> None:
    """A value over 256 KiB is refused before it is read."""
    assert refused(HEADER + bytes(size - 10)).reason == "too_large"


def test_the_bound_is_the_codecs() -> None:
    """A codec with another bound keeps to it, to the byte."""
    assert Codec(max_bytes=len(VALUE)).decode_touchpoint(VALUE) == ORDER
    assert refused(VALUE, Codec(max_bytes=len(VALUE) - 1)).reason == "too_large"


def test_the_bound_of_touchpoints_is_not_that_of_our_own_records() -> None:
    """A small one must not end the sink at a row of many campaigns, which a worker has written."""
    many = [f"campaign {n}" for n in range(500)]
    ones = [1] * len(many)
    row = Aggregate(
        0, "day", 0, 1, "CNY", ["campaign"] * len(many), many, ones, ones, ones, ones, ones
    )
    strict = Codec(max_bytes=1024)
    assert strict.decode_aggregate(strict.encode_aggregate(row)) == row


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ENVELOPE + b"\x22", id="branch 17 of 17"),
        pytest.param(ENVELOPE + b"\x01\x02x\x08\x02y", id="branch -1"),
        pytest.param(ENVELOPE + b"\x20\x02x\x01\x02y", id="branch -1 of an attribute"),
        pytest.param(b"\x01" + ENVELOPE[1:], id="length -1"),
        pytest.param(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01xx", id="length 2**63 - 1"),
        pytest.param(b"\x80\x80\x80\x01xx", id="length of 1 MiB in a record of 256 KiB"),
        pytest.param(b"\x06\xff\xfee" + ENVELOPE[4:] + b"\x04\x00", id="not UTF-8"),
        pytest.param(VALUE[10:] + b"\x00", id="one byte too many"),
    ],
)
def test_damaged_bodies_are_wrong_bytes(body: bytes) -> None:
    """A body that Avro cannot have is wrong, where fastavro would count from a union's end."""
    assert refused(HEADER + body).reason == "wrong_bytes"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"event_id": ""}, "event_id must be a string of 1 to 256 characters, not ''"),
        ({"user_id": ""}, "user_id must be a string of 1 to 256 characters, not ''"),
        ({"user_id": "x" * 257}, "user_id must be a string of 1 to 256 characters, not 'xxx"),
        ({"occurred_at": -1}, "occurred_at must be a time from 1970 to 2099"),
        ({"occurred_at": 2**62}, "occurred_at must be a time from 1970 to 2099"),
        (
            {"payload": ("touchline.AttributeSet", {"name": "x", "value": float("inf")})},
            "payload.value must be",
        ),
    ],
)
def test_values_that_avro_allows_and_we_do_not_are_invalid(
    change: dict[str, Any], detail: str
) -> None:
    """What would break a reader downstream is refused here, and the field named."""
    error = refused(written(**change))
    assert error.reason == "invalid"
    assert detail in error.detail


def test_an_int_of_more_than_32_bits_is_invalid() -> None:
    """Avro's int is read as a long; one that is greater than it may be is refused."""
    assert VALUE.endswith(b"\x00\x02")  # no product, quantity 1
    error = refused(VALUE[:-1] + b"\xfe\xff\xff\xff\xff\x01")
    assert error.reason == "invalid"
    assert "payload.quantity must be an integer of 32 bits" in error.detail


def test_the_error_says_both_parts_and_can_be_pickled() -> None:
    """The message holds reason and detail, and the error passes between processes."""
    error = DecodeError("truncated", "half of it is missing")
    assert str(error) == "truncated: half of it is missing"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.reason, copy.detail) == (error.reason, error.detail)
