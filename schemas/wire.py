"""Frame Avro bodies on the wire: which schema wrote these bytes, and where does the body start.

Two formats, told apart by their first byte:

* Confluent's: ``00``, the schema's id in the registry (4 bytes, big-endian), the body.
  https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/
* Avro single-object encoding: ``C3 01``, the CRC-64-AVRO fingerprint of the schema's parsing
  canonical form (8 bytes, little-endian), the body.
  https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
"""

CONFLUENT_MAGIC = b"\x00"
CONFLUENT_HEADER_BYTES = 5
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
SINGLE_OBJECT_HEADER_BYTES = 10

EMPTY_VALUE = "empty_value"
TRUNCATED = "truncated"
UNKNOWN_SCHEMA = "unknown_schema"
WRONG_BYTES = "wrong_bytes"
TOO_LARGE = "too_large"
INVALID = "invalid"


class DecodeError(ValueError):
    """Bytes that hold no record of ours: a fault of the data, never of the infrastructure.

    Attributes:
        reason: A short code that never changes: ``empty_value``, ``truncated`` (the record goes
            on past the last byte), ``unknown_schema``, ``wrong_bytes``, ``too_large`` or
            ``invalid`` (well-formed, but not a value that the product allows).
        detail: One sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["DecodeError"], tuple[str, str]]:
        # An exception pickles its message by default; ours is built from two parts.
        return DecodeError, (self.reason, self.detail)


class EncodeError(ValueError):
    """A record that its contract does not allow; the message says what would be right."""


def single_object_header(fingerprint: bytes) -> bytes:
    """Return the header of a body written with the schema of this fingerprint (8 bytes)."""
    return SINGLE_OBJECT_MAGIC + fingerprint


def confluent_header(schema_id: int) -> bytes:
    """Return the header of a body written with the schema of this id in the registry."""
    return CONFLUENT_MAGIC + schema_id.to_bytes(4, "big")


def split_frame(value: bytes) -> tuple[bytes | int, bytes]:
    """Split a non-empty value into the schema that wrote it and the Avro body.

    Returns:
        The fingerprint (``bytes``) or the id in the registry (``int``), and the body.

    Raises:
        DecodeError: ``wrong_bytes`` for an unknown first byte, ``truncated`` for half a header.
    """
    if value.startswith(SINGLE_OBJECT_MAGIC) and len(value) >= SINGLE_OBJECT_HEADER_BYTES:
        return value[2:SINGLE_OBJECT_HEADER_BYTES], value[SINGLE_OBJECT_HEADER_BYTES:]
    if value.startswith(CONFLUENT_MAGIC) and len(value) >= CONFLUENT_HEADER_BYTES:
        schema_id = int.from_bytes(value[1:CONFLUENT_HEADER_BYTES], "big")
        return schema_id, value[CONFLUENT_HEADER_BYTES:]
    if value.startswith((SINGLE_OBJECT_MAGIC, CONFLUENT_MAGIC)) or value == b"\xc3":
        raise DecodeError(TRUNCATED, f"the value ends inside its header, after {len(value)} bytes")
    raise DecodeError(
        WRONG_BYTES,
        f"the value starts with {value[:2].hex(' ')}; "
        "Avro single-object encoding starts with c3 01, Confluent's format with 00",
    )
