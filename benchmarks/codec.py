"""How fast the codec is on one core, next to Apache's avro package in the same run.

One event has 10 fields: 5 of the envelope that say something and 5 of the order. Each figure is
the best of several rounds, since other work on the machine only ever slows it down.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import msgspec

import schemas
from schemas.codec import Codec
from schemas.jsonlines import format_line, read_lines
from schemas.records import Fact, Touchpoint

ORDER = Touchpoint(
    event_id="cdnow-000123-4",
    user_id="u-000123",
    occurred_at=1_715_833_800_000,
    kind="order_paid",
    payload={
        "order_id": "o-1234567",
        "amount_minor": 2933,
        "currency": "USD",
        "product": "CD",
        "quantity": 2,
    },
    channel="shop",
    source="douyin",
)
FACT = Fact(
    "1d1f6c2b7e904a55", "u-000123", "segment_changed", 1_715_833_800_000, "rfm", "", "general_keep",
    "event", "cdnow-000123-4", "rfm", "refined-retail", 1, {"frequency": "4"},
)  # fmt: skip
ROUNDS, ROUND_SECONDS = 7, 0.3


def rate(work: Callable[[], object]) -> float:
    """Return how often a second ``work`` can be done: the best round."""
    best = 0.0
    for _ in range(ROUNDS):
        done, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < ROUND_SECONDS:
            for _ in range(100):
                work()
            done += 100
        best = max(best, done / passed)
    return best


def apache() -> tuple[Callable[[], object], Callable[[], object]]:
    """Return how Apache's avro decodes and encodes the same event, bodies only, times as long."""
    text = (Path(schemas.__file__).parent / "avro" / "touchpoint.avsc").read_text()
    text = text.replace('{"type": "long", "logicalType": "timestamp-millis"}', '"long"')
    schema = avro.schema.parse(text)
    reader, writer = avro.io.DatumReader(schema, schema), avro.io.DatumWriter(schema)
    fields = msgspec.structs.asdict(ORDER)
    del fields["kind"]
    body = Codec().encode_touchpoint(ORDER)[10:]

    def encode() -> bytes:
        stream = io.BytesIO()
        writer.write(fields, avro.io.BinaryEncoder(stream))
        return stream.getvalue()

    def decode() -> Any:
        return reader.read(avro.io.BinaryDecoder(io.BytesIO(body)))

    return decode, encode


def main() -> None:
    """Print the rates."""
    codec = Codec()
    value, fact, line = codec.encode_touchpoint(ORDER), codec.encode_fact(FACT), format_line(ORDER)
    apache_decode, apache_encode = apache()
    decode_rate, encode_rate = rate(apache_decode), rate(apache_encode)
    print(f"{len(value)} bytes a touchpoint; records a second on one core")
    print(f"{'avro package: decode':<28}{decode_rate:>10,.0f}")
    print(f"{'avro package: encode':<28}{encode_rate:>10,.0f}")
    for name, work, base in (
        ("touchpoint: decode", lambda: codec.decode_touchpoint(value), decode_rate),
        ("touchpoint: encode, checked", lambda: codec.encode_touchpoint(ORDER), encode_rate),
        ("fact: decode", lambda: codec.decode_fact(fact), None),
        ("fact: encode", lambda: codec.encode_fact(FACT), None),
        ("JSON line: read, checked", lambda: next(read_lines([line])), None),
        ("JSON line: format", lambda: format_line(ORDER), None),
    ):
        result = rate(work)
        ratio = f"  {result / base:.1f} x avro" if base else ""
        print(f"{name:<28}{result:>10,.0f}{ratio}")


if __name__ == "__main__":
    main()
