"""Read and write touchpoints as JSON lines: one object a line, the Avro fields by their names.

    {"event_id": "o-1", "user_id": "u-7", "occurred_at": "2024-05-01T12:00:00+08:00",
     "kind": "order_paid", "payload": {"order_id": "1", "amount_minor": 990, "currency": "CNY"}}

(on one line). Times are ISO 8601 with an offset, or milliseconds since 1970 UTC. Fields with a
default may be left out. ``appended_at`` is the stream time of the record, for simulations and for
publishing a log again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import msgspec

from schemas.codec import MAX_BYTES, Codec
from schemas.records import Touchpoint
from schemas.rules import (
    END_OF_TIME,
    REQUIRED,
    FieldRule,
    envelope_rules,
    find_problems,
    or_rather,
    payload_rules,
    shown,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000
_SECONDS = range(1_000_000_000, END_OF_TIME // 1000)
"""Milliseconds of early 1970, and so the seconds from 2001 to 2099 of who forgot to multiply."""
_ESCAPED = 6
"""Bytes that one byte of a text may take in JSON: a control character is ``\\u0001``."""
_NAMES = 4096
"""Room for the names of the fields."""
_TIME_WORDS = (
    'a time from 1970 to 2099, such as "2024-05-01T12:00:00+08:00", or its milliseconds since 1970'
)


class LineError(ValueError):
    """A line that holds no touchpoint.

    Attributes:
        line_number: Counted from 1.
        message: All that is wrong with it, and what would be right.
        source: Where the lines come from.
    """

    def __init__(self, line_number: int, message: str, source: str = "<lines>") -> None:
        super().__init__(f"{source}, line {line_number}: {message}")
        self.line_number = line_number
        self.message = message
        self.source = source


@dataclass(frozen=True, slots=True)
class Line:
    """A line that holds a touchpoint, which the codec then encodes for certain.

    Attributes:
        number: Counted from 1.
        touchpoint: What it holds.
        appended_at: Stream time of its record, in milliseconds since 1970 UTC, if stated.
    """

    number: int
    touchpoint: Touchpoint
    appended_at: int | None


def read_lines(
    stream: Iterable[bytes | str], *, source: str = "<lines>", max_bytes: int = MAX_BYTES
) -> Iterator[Line | LineError]:
    """Yield each line's touchpoint, or what is wrong with it; blank lines are passed over.

    Errors come as values, so that the caller may stop at the first or go on.

    Args:
        stream: An open file, or anything else that yields lines of UTF-8.
        source: What to call it in an error's message.
        max_bytes: The largest touchpoint on the log; its line may be longer.
    """
    for number, raw in enumerate(stream, 1):
        text = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if not text.strip():
            continue
        try:
            yield _read_line(number, text, max_bytes)
        except ValueError as error:
            yield LineError(number, str(error), source)


def format_line(touchpoint: Touchpoint, appended_at: int | None = None) -> str:
    """Return the line of a touchpoint, without a line end; defaults are left out."""
    rules = envelope_rules()
    fields = msgspec.structs.asdict(touchpoint)
    line = {name: fields[name] for name in rules if fields[name] != rules[name].default}
    line["occurred_at"] = format_time(touchpoint.occurred_at)
    line |= {"kind": touchpoint.kind, "payload": touchpoint.payload}
    if appended_at is not None:
        line["appended_at"] = format_time(appended_at)
    return msgspec.json.encode(line).decode()


def parse_time(value: object) -> int:
    """Return the milliseconds since 1970 UTC of a time in ISO 8601 with an offset, or of an int.

    Raises:
        ValueError: it is no such time, or lies before 1970 or after 2099.
    """
    milliseconds = value
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"must be {_TIME_WORDS}, not {shown(value)}") from None
        if time.tzinfo is None:
            raise ValueError(f"{value} has no time zone: add Z for UTC, or an offset like +08:00")
        milliseconds = (time - _EPOCH) // timedelta(milliseconds=1)
    if type(value) is int and value in _SECONDS:
        instant = datetime.fromtimestamp(value, UTC).isoformat(" ")
        raise ValueError(f"{value} is in January or February 1970: for {instant} write {value}000")
    # bool is an int to Python, not to us.
    if type(milliseconds) is int and 0 <= milliseconds < END_OF_TIME:
        return milliseconds
    raise ValueError(f"must be {_TIME_WORDS}, not {shown(value)}")


def format_time(milliseconds: int) -> str:
    """Return a time as lines have it: ``2024-05-01T12:00:00.000Z``."""
    minute, rest = divmod(milliseconds, _MINUTE)
    return f"{_format_minute(minute)}:{rest // 1000:02}.{rest % 1000:03}Z"


def _read_line(number: int, text: bytes, max_bytes: int) -> Line:
    if len(text) > _ESCAPED * max_bytes + _NAMES:
        raise ValueError(f"{len(text)} bytes; a touchpoint has at most {max_bytes}")
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from error
    problems = _read_times(fields)
    problems += find_problems(_line_rules(), fields)
    problems += _complete_payload(fields)
    if problems:
        raise ValueError("; ".join(problems))
    appended_at = fields.pop("appended_at", None)
    touchpoint = Touchpoint(**fields)
    if len(text) > max_bytes:  # only then can the record be too large: Avro is shorter than JSON
        _codec(max_bytes).encode_touchpoint(touchpoint)
    return Line(number, touchpoint, appended_at)


@cache
def _codec(max_bytes: int) -> Codec:
    return Codec(max_bytes=max_bytes)


@cache
def _line_rules() -> dict[str, FieldRule]:
    rules = envelope_rules()
    return rules | {
        "occurred_at": replace(rules["occurred_at"], words=_TIME_WORDS),
        "appended_at": replace(rules["occurred_at"], name="appended_at", default=None),
        "kind": FieldRule("kind", "a string", lambda value: type(value) is str, REQUIRED, False),
        "payload": FieldRule("payload", "an object", lambda value: type(value) is dict, {}, False),
    }


def _read_times(fields: dict[str, Any]) -> list[str]:
    """Turn the times of a line into milliseconds, in place; return what is wrong with them."""
    problems = []
    for name in fields.keys() & {"occurred_at", "appended_at"}:
        try:
            fields[name] = parse_time(fields[name])
        except ValueError as error:
            problems.append(f"{name} {error}")
            fields[name] = 0  # a time, so that the rules do not name it again
    return problems


def _complete_payload(fields: dict[str, Any]) -> list[str]:
    """Fill in the defaults of a line's payload; return what is wrong with it."""
    kind, payload = fields.get("kind"), fields.get("payload", {})
    if not isinstance(kind, str) or not isinstance(payload, dict):
        return []  # named by the rules of the line
    kinds = payload_rules()
    if kind not in kinds:
        return [f"kind {shown(kind)} is unknown{or_rather(kind, kinds)}"]
    rules = kinds[kind].fields
    fields["payload"] = {name: payload.get(name, rule.default) for name, rule in rules.items()}
    return find_problems(rules, payload, "payload.")


@lru_cache(maxsize=1024)
def _format_minute(minute: int) -> str:
    """Return ``2024-05-01T12:00``; lines that follow one another are mostly of the same ones."""
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M")
