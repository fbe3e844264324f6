"""JSON lines: what a person or another system writes by hand, told what is wrong all at once."""

import io
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import KINDS, TIMES, touchpoints

from schemas.codec import Codec
from schemas.jsonlines import Line, LineError, format_line, parse_time, read_lines
from schemas.records import Touchpoint

LINE: dict[str, Any] = {
    "event_id": "e-1",
    "user_id": "u-1",
    "occurred_at": "2024-05-16T12:30:00+08:00",
    "kind": "order_paid",
    "payload": {"order_id": "A-1", "amount_minor": 99, "currency": "CNY"},
}
NOON = 1_715_833_800_000
CODEC = Codec()


def read(line: Any) -> Line | LineError:
    """Read one line."""
    text = line if isinstance(line, (str, bytes)) else json.dumps(line)
    (result,) = read_lines([text], source="orders.jsonl")
    return result


def message(line: Any) -> str:
    """Return why a line is refused."""
    result = read(line)
    assert isinstance(result, LineError)
    return result.message


def touchpoint(line: Any) -> Touchpoint:
    """Return what a good line holds."""
    result = read(line)
    assert isinstance(result, Line), result
    return result.touchpoint


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data(), at=st.none() | TIMES)
def test_a_touchpoint_goes_through_lines_and_the_log_unchanged(
    kind: str, data: st.DataObject, at: int | None
) -> None:
    """Line, record, line, record: equal to the byte, so 1 does not come back as 1.0 or true."""
    drawn = data.draw(touchpoints(kind))
    line = read(format_line(drawn, at))
    assert line == Line(1, drawn, at)
    value = CODEC.encode_touchpoint(line.touchpoint)
    assert value == CODEC.encode_touchpoint(drawn)
    logged = CODEC.decode_touchpoint(value)
    assert logged == drawn
    again = touchpoint(format_line(logged, at).encode())
    assert CODEC.encode_touchpoint(again) == value


@given(
    st.dictionaries(
        st.sampled_from([*LINE, "backfill", "channel", "appended_at", "nonsense"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda part: st.lists(part, max_size=2) | st.dictionaries(st.text(max_size=5), part),
            max_leaves=5,
        ),
    )
)
def test_what_a_line_may_hold_can_be_encoded(change: dict[str, Any]) -> None:
    """Whatever the values, a line is refused with words, or holds what the codec takes."""
    result = read(LINE | change)
    if isinstance(result, Line):
        value = CODEC.encode_touchpoint(result.touchpoint)
        assert CODEC.decode_touchpoint(value) == result.touchpoint
    else:
        assert result.message


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(line: bytes) -> None:
    """Bytes that are no line become an error value, never an exception."""
    results = list(read_lines([line]))
    assert all(isinstance(result, LineError) for result in results)


def test_fields_left_out_get_their_defaults() -> None:
    """Only the fields without an Avro default have to be there."""
    expected = LINE["payload"] | {"product": "", "quantity": 1}
    assert touchpoint(LINE) == Touchpoint("e-1", "u-1", NOON, "order_paid", expected)
    bare = {name: LINE[name] for name in ("event_id", "user_id", "occurred_at")}
    friend = touchpoint(bare | {"kind": "friend_added"})
    assert friend.payload == {"way": ""}


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-16T12:30:00+08:00",
        "2024-05-16T04:30:00Z",
        "2024-05-16T04:30Z",
        "20240516T043000Z",
        "2024-05-16 04:30:00.000999+00:00",
        NOON,
    ],
)
def test_times_are_iso_8601_with_an_offset_or_milliseconds(time: Any) -> None:
    """All ways to write the same moment give the same milliseconds."""
    assert touchpoint(LINE | {"occurred_at": time}).occurred_at == NOON
    assert parse_time(time) == NOON


@given(TIMES)
def test_formatted_times_are_what_datetime_says(time: int) -> None:
    """A formatted time is that of Python's own calendar, to the millisecond."""
    line = json.loads(format_line(Touchpoint("e", "u", time, "friend_added", {"way": ""})))
    assert datetime.fromisoformat(line["occurred_at"]).timestamp() == pytest.approx(time / 1000)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"occurred_at": "2024-05-16T12:30:00"},
            "2024-05-16T12:30:00 has no time zone: add Z for UTC, or an offset like +08:00",
        ),
        ({"occurred_at": "yesterday"}, "not 'yesterday'"),
        ({"occurred_at": "1715833800000"}, "or its milliseconds since 1970, not '1715833800000'"),
        ({"occurred_at": 1715833800.5}, "occurred_at must be a time from 1970 to 2099"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "must be a time from 1970 to 2099"),
        ({"occurred_at": True}, "occurred_at must be a time"),
        ({"appended_at": "2024-05-16"}, "appended_at 2024-05-16 has no time zone"),
        ({"occurred_at": 1715855400}, "for 2024-05-16 10:30:00+00:00 write 1715855400000"),
        ({"event_id": ""}, "event_id must be a string of 1 to 256 characters, not ''"),
        ({"backfill": "yes"}, "backfill must be true or false, not 'yes'"),
        ({"chanel": "shop"}, "chanel is no field; did you mean channel?"),
        ({"kind": "OrderPaid"}, "kind 'OrderPaid' is unknown; did you mean order_paid?"),
        ({"kind": "xyz"}, "kind 'xyz' is unknown; there are: page_viewed, link_scanned,"),
        ({"kind": 7}, "kind must be a string, not 7"),
        ({"payload": []}, "payload must be an object, not []"),
        ({"payload": {}}, "payload.order_id is missing: it takes a string"),
        (
            {"payload": LINE["payload"] | {"amount_minor": 12.5}},
            "payload.amount_minor must be an integer of 64 bits, not 12.5",
        ),
        ({"payload": LINE["payload"] | {"quantity": 2**31}}, "an integer of 32 bits"),
        ({"payload": LINE["payload"] | {"amount": 1}}, "amount is no field; did you mean amount_"),
    ],
)
def test_each_mistake_is_told_with_what_would_be_right(
    change: dict[str, Any], expected: str
) -> None:
    """A wrong, missing or unknown field is named, with what it takes."""
    assert expected in message(LINE | change)


@pytest.mark.parametrize("name", ["event_id", "user_id", "occurred_at", "kind"])
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    """Each field without a default is asked for by name."""
    assert f"{name} is missing: it takes" in message({k: v for k, v in LINE.items() if k != name})


def test_all_mistakes_of_a_line_are_told_at_once() -> None:
    """One message lists every problem, so that a line is mended once."""
    told = message({"user": "u", "occurred_at": "2024-05-16", "kind": "order_paid", "payload": {}})
    for part in ("event_id", "user_id", "user is no field", "occurred_at", "payload.order_id"):
        assert part in told
    assert told.count("; payload.") == 3


@pytest.mark.parametrize(
    "line", ["{", "[]", "7", b'"\xff"', '{"event_id": NaN}', "[" * 10_000, '{"a": "\\ud800"}']
)
def test_a_line_that_is_no_json_object_says_so(line: str | bytes) -> None:
    """What is not JSON at all is told apart from a wrong field."""
    assert message(line).startswith("not a JSON object: ")


def test_a_record_over_the_codecs_bound_is_refused() -> None:
    """It is that of the record, whose line may be longer; an endless line is not even read."""
    assert "at most 262144" in message(LINE | {"channel": "x" * 262_144})
    assert "at most 262144" in message("{" + " " * 6 * 262_144 + " " * 4096)
    escaped = json.dumps(LINE | {"channel": "\1" * 262_000})
    assert len(escaped) > 6 * 262_000
    assert touchpoint(escaped).channel == "\1" * 262_000


def test_a_deployment_may_take_larger_records() -> None:
    """The bound is that of its workers."""
    line = json.dumps(LINE | {"channel": "x" * 300_000})
    (larger,) = read_lines([line], max_bytes=400_000)
    assert isinstance(larger, Line)
    (smaller,) = read_lines([json.dumps(LINE | {"channel": "x" * 2_000})], max_bytes=1_024)
    assert isinstance(smaller, LineError)
    assert "at most 1024" in smaller.message


def test_errors_are_values_between_good_lines() -> None:
    """The caller may stop at the first error or go on; blank lines are passed over."""
    good = json.dumps(LINE | {"appended_at": 5})
    stream = io.BytesIO(f"\ufeff{good}\n\n{{\n   \n{good}".encode())
    first, error, last = read_lines(stream, source="orders.jsonl")
    assert isinstance(first, Line)
    assert (first.number, first.appended_at) == (1, 5)
    assert isinstance(error, LineError)
    assert error.line_number == 3
    assert str(error).startswith("orders.jsonl, line 3: not a JSON object")
    assert isinstance(last, Line)
    assert last.number == 5
    assert last.touchpoint == first.touchpoint


def test_a_formatted_line_leaves_defaults_out() -> None:
    """A line shows what was said, in one line."""
    line = format_line(Touchpoint("e", "u", 0, "friend_added", {"way": "a\nb"}, channel="wecom"))
    assert line == (
        '{"event_id":"e","user_id":"u","occurred_at":"1970-01-01T00:00:00.000Z",'
        '"channel":"wecom","kind":"friend_added","payload":{"way":"a\\nb"}}'
    )
