"""Schema resolution: records of other versions are read as the current contract says."""

import copy
from collections.abc import Callable
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import msgspec
import pytest
from strategies import avsc

from schemas.binary import read_body
from schemas.contracts import Contract
from schemas.wire import DecodeError

PAYLOAD = {"order_id": "A-1", "amount_minor": 99, "currency": "CNY", "product": "", "quantity": 1}
FIELDS = {
    "event_id": "e-1",
    "user_id": "u-1",
    "occurred_at": 1_715_833_800_000,
    "backfill": False,
    "channel": "shop",
    "source": "",
    "campaign": "",
    "staff": "",
    "community": "",
    "payload": PAYLOAD,
}


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return the touchpoint's schema with plain times and a change."""
    schema = avsc("touchpoint")
    field(schema, "occurred_at")["type"] = "long"
    change(schema)
    return schema


def field(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field of a record's schema."""
    (found,) = (part for part in record["fields"] if part["name"] == name)
    return found


def payload(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a payload."""
    (found,) = (part for part in field(schema, "payload")["type"] if part["name"] == name)
    return found


def written(schema: dict[str, Any], fields: dict[str, Any]) -> bytes:
    """Write with Apache's avro package, as a producer of that version would."""
    parsed = avro.schema.parse(msgspec.json.encode(schema).decode())
    stream = BytesIO()
    avro.io.DatumWriter(parsed).write(fields, avro.io.BinaryEncoder(stream))
    return stream.getvalue()


def read(schema: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Read a body of that schema as the current contract says."""
    contract = Contract("touchpoint", avsc("touchpoint"), [schema])
    return read_body(body, contract.writer(schema), 1000)


def no_community(schema: dict[str, Any]) -> None:
    """Take a field away."""
    schema["fields"].remove(field(schema, "community"))


def extra_last_field(schema: dict[str, Any]) -> None:
    """Add a field that we do not know."""
    schema["fields"].append({"name": "trace", "type": "string"})


def int_amount(schema: dict[str, Any]) -> None:
    """Write a narrower type."""
    field(payload(schema, "OrderPaid"), "amount_minor")["type"] = "int"


def other_order(schema: dict[str, Any]) -> None:
    """Turn the order of fields and kinds around."""
    schema["fields"].reverse()
    field(schema, "payload")["type"].reverse()


def test_a_field_that_the_writer_lacks_gets_its_default() -> None:
    """A record from before a field was added is read with the field's default."""
    schema = changed(no_community)
    older = {name: part for name, part in FIELDS.items() if name != "community"}
    expected = FIELDS | {"payload": ("touchline.OrderPaid", PAYLOAD)}
    assert read(schema, written(schema, older)) == expected


@pytest.mark.parametrize("change", [extra_last_field, int_amount, other_order])
def test_other_layouts_are_resolved(change: Callable[[dict[str, Any]], None]) -> None:
    """Fields that we do not know, narrower types and another order do not matter."""
    schema = changed(change)
    trace = {"trace": "t-1"} if change is extra_last_field else {}
    expected = FIELDS | {"payload": ("touchline.OrderPaid", PAYLOAD)}
    assert read(schema, written(schema, FIELDS | trace)) == expected


def test_a_record_cut_in_a_field_that_is_passed_over_is_truncated() -> None:
    """A cut is seen also in a field that we skip, where fastavro does not look."""
    schema = changed(extra_last_field)
    body = written(schema, FIELDS | {"trace": "trace-of-the-writer"})
    for length in range(len(body)):
        with pytest.raises(DecodeError, match=r"^truncated"):
            read(schema, body[:length])


def test_a_payload_that_we_do_not_know_is_an_unknown_schema() -> None:
    """A kind of touchpoint from a newer writer is refused; the others are read."""

    def new_kind(schema: dict[str, Any]) -> None:
        record = {"type": "record", "name": "Danced", "fields": [{"name": "tango", "type": "int"}]}
        field(schema, "payload")["type"].append(record)

    schema = changed(new_kind)
    expected = FIELDS | {"payload": ("touchline.OrderPaid", PAYLOAD)}
    assert read(schema, written(schema, FIELDS)) == expected
    with pytest.raises(DecodeError, match=r"^unknown_schema: .*is the writer newer"):
        read(schema, written(schema, FIELDS | {"payload": {"tango": 2}}))


def test_another_wording_is_the_same_schema() -> None:
    """Docs and logical types change no bytes: such a writer takes the fast way."""
    schema = changed(lambda schema: schema.update(doc="Other words."))
    assert Contract("touchpoint", avsc("touchpoint")).writer(schema).reader is None


@pytest.mark.parametrize(
    "schema",
    ["string", ["null", "string"], {"type": "record", "name": "Dance", "fields": []}, {}, None, 7],
)
def test_a_schema_of_something_else_is_refused(schema: Any) -> None:
    """A schema that is not that of the record, or none at all, says so."""
    with pytest.raises(ValueError, match="not of Touchpoint"):
        Contract("touchpoint", avsc("touchpoint")).writer(copy.deepcopy(schema))


def test_a_schema_that_is_not_avro_is_refused() -> None:
    """A schema of the right name that is not valid Avro says so."""
    with pytest.raises(ValueError, match="not valid Avro"):
        Contract("touchpoint", avsc("touchpoint")).writer({"name": "Touchpoint", "type": "recrd"})
