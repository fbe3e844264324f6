"""Six records that no contract allows: the demonstration and the tests publish them."""

from typing import NamedTuple

from schemas.codec import Codec
from schemas.records import Touchpoint


class Broken(NamedTuple):
    """A broken record, and the reason that its dead letter must give."""

    name: str
    reason: str
    key: bytes | None
    value: bytes | None


def broken_records() -> list[Broken]:
    """Return one record of each kind of damage, always the same."""
    whole = Codec().encode_touchpoint(
        Touchpoint("broken-1", "broken", 0, "link_scanned", {"code": "x", "placement": ""})
    )
    return [
        Broken("a record cut short", "truncated", b"broken", whole[:-3]),
        Broken("a schema nobody knows", "unknown_schema", b"broken", b"\xc3\x01" + bytes(8) + b"x"),
        Broken("text where Avro belongs", "wrong_bytes", b"broken", b'{"hello": "world"}'),
        Broken("an empty value", "empty_value", b"broken", b""),
        Broken("a value of 2 MB", "too_large", b"broken", whole + bytes(2_000_000)),
        Broken("no key", "null_key", None, whole),
    ]
