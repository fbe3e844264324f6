"""Avro bodies by fastavro, read strictly: bytes in doubt are refused, never guessed."""

from collections.abc import Mapping
from io import SEEK_END, BytesIO
from typing import Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from schemas.contracts import WriterSchema
from schemas.wire import TRUNCATED, UNKNOWN_SCHEMA, WRONG_BYTES, DecodeError

# One byte past the end: a read that reaches it shows in ``tell()``, also where fastavro skips
# a field without checking its length.
_SENTINEL = b"\x00"


def write_body(schema: Any, fields: Mapping[str, Any]) -> bytes:
    """Return the Avro body of a record with unions of records, each given as (name, fields).

    Where fields have a default they may be missing. Flat records have `schemas.encoding`.
    """
    stream = BytesIO()
    schemaless_writer(stream, schema, fields)
    return stream.getvalue()


def read_body(body: bytes, writer: WriterSchema, max_bytes: int) -> dict[str, Any]:
    """Return the fields of a record; a record in a union comes as (full name, fields).

    Args:
        body: Avro binary, without a header.
        writer: The schema that wrote it.
        max_bytes: No field is longer; a greater length tells damaged bytes from missing ones.

    Raises:
        DecodeError: ``truncated``, ``wrong_bytes`` or, where the writer's value has no place in
            our schema, ``unknown_schema``.
    """
    stream = BytesIO(body + _SENTINEL)
    try:
        fields: Any = schemaless_reader(stream, writer.schema, writer.reader, True)
    except Exception as error:
        raise _diagnosis(body, writer, max_bytes) from error
    if stream.tell() != len(body):
        raise _diagnosis(body, writer, max_bytes)
    return fields  # type: ignore[no-any-return]


class _Watched(BytesIO):
    """A stream that refuses a length which no field can have."""

    def __init__(self, content: bytes, max_bytes: int) -> None:
        super().__init__(content)
        self._max_bytes = max_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self._max_bytes:
            raise DecodeError(WRONG_BYTES, f"a field claims a length of {size} bytes")
        return super().read(size)


def _diagnosis(body: bytes, writer: WriterSchema, max_bytes: int) -> DecodeError:
    """Read a bad body once more, slowly, to say what is wrong with it."""
    stream = _Watched(body + _SENTINEL, max_bytes)
    try:
        schemaless_reader(stream, writer.schema, writer.reader, return_record_name=True)
    except DecodeError as error:
        return error
    except EOFError:
        stream.seek(0, SEEK_END)
    except SchemaResolutionError:
        detail = "its schema has a place for this value and ours has none; is the writer newer?"
        return DecodeError(UNKNOWN_SCHEMA, detail)
    except Exception as error:  # noqa: BLE001 - bad bytes lead fastavro to any exception at all
        if stream.tell() <= len(body):
            return DecodeError(WRONG_BYTES, f"not Avro of this schema: {error!r}"[:500])
    extra = len(body) - stream.tell()
    if extra > 0:
        return DecodeError(WRONG_BYTES, f"{extra} bytes follow the end of the record")
    return DecodeError(TRUNCATED, f"the record goes on past its last byte ({len(body)} in all)")
