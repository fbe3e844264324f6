"""Encode flat records as Avro: each field by a function of its type, chosen once.

A worker writes a fact or two for each event, and most of their fields say what a field of the
record before them said: a rule, a kind, the person, the cause. So encodings are remembered by
value, which takes a third of the time of fastavro's writer.
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, call
from typing import Any

Encode = Callable[[Any], bytes]

REMEMBERED = 8192
"""How many values of a type are remembered."""
LONGEST_REMEMBERED = 64
"""Characters: longer texts are encoded each time."""
_ONE_BYTE = [bytes([size << 1]) for size in range(LONGEST_REMEMBERED)]


class _Memory(dict[Any, bytes]):
    """Encodings by value. When there are too many all are forgotten: the frequent ones return."""

    def __init__(self, encode: Encode) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, value: Any) -> bytes:
        if type(value) is str and len(value) > LONGEST_REMEMBERED:
            return self._encode(value)
        if len(self) >= REMEMBERED:
            self.clear()
        self[value] = encoded = self._encode(value)
        return encoded


def compile_encoder(schema: Mapping[str, Any], unique: Iterable[str] = ()) -> Encode:
    """Return a function that encodes an object with the fields of a record as attributes.

    It raises any exception at all for a value that is not of its field's type.

    Args:
        schema: A record of primitives, arrays and maps of these, and optional ones, without
            logical types.
        unique: Text fields that never say the same twice: these are not remembered.

    Raises:
        ValueError: it has a type that is not known here.
    """
    names = [field["name"] for field in schema["fields"]]
    fresh = set(unique)
    encoders = [
        encode_string if field["name"] in fresh else _encoder(field["type"])
        for field in schema["fields"]
    ]
    read = attrgetter(*names)

    def encode(record: Any) -> bytes:
        return b"".join(map(call, encoders, read(record)))

    return encode


def _encoder(avro_type: Any) -> Encode:
    match avro_type:
        case str() if avro_type in _PRIMITIVES:
            return _PRIMITIVES[avro_type]
        case {"type": "array", "items": items}:
            return _blocks(_encoder(items))
        case {"type": "map", "values": values}:
            return _pairs(_encoder(values))
        case ["null", other]:
            return _optional(_encoder(other))
    raise ValueError(f"{avro_type!r} is no Avro type of the records that are written here")


def _blocks(encode: Encode) -> Encode:
    def encode_items(items: Sequence[Any]) -> bytes:
        size = len(items)
        return b"".join((_long(size), *map(encode, items), b"\0")) if size else b"\0"

    return encode_items


def _pairs(encode: Encode) -> Encode:
    def encode_map(items: Mapping[str, Any]) -> bytes:
        size = len(items)
        pairs = [part for key, value in items.items() for part in (_string(key), encode(value))]
        return b"".join((_long(size), *pairs, b"\0")) if size else b"\0"

    return encode_map


def _optional(encode: Encode) -> Encode:
    def encode_or_null(value: Any) -> bytes:
        return b"\0" if value is None else b"\2" + encode(value)

    return encode_or_null


def encode_string(text: str) -> bytes:
    """Return a text as Avro: its length, then its bytes as UTF-8."""
    return encode_bytes(text.encode())


def encode_bytes(content: bytes) -> bytes:
    """Return bytes as Avro: their length, then themselves."""
    size = len(content)
    return (_ONE_BYTE[size] if size < LONGEST_REMEMBERED else _long(size)) + content


def encode_boolean(value: object) -> bytes:
    """Return the truth of a value as Avro: one byte."""
    return b"\1" if value else b"\0"


def encode_int(value: int) -> bytes:
    """Return an integer of 32 bits as Avro; raises ``OverflowError`` for a greater one."""
    if not -(1 << 31) <= value < 1 << 31:
        raise OverflowError(f"{value} does not fit 32 bits")
    return encode_long(value)


def encode_long(value: int) -> bytes:
    """Return an integer of 64 bits as Avro; raises ``OverflowError`` for a greater one.

    Zig-zag, then seven bits a byte, the lowest first.
    """
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(f"{value} does not fit 64 bits")
    rest = value << 1 ^ value >> 63
    encoded = bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - more than seven bits
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


_string = _Memory(encode_string).__getitem__
_long = _Memory(encode_long).__getitem__
_PRIMITIVES: dict[str, Encode] = {
    "string": _string,
    "long": _long,
    "int": _Memory(encode_int).__getitem__,
    "boolean": encode_boolean,
    "bytes": encode_bytes,
}
