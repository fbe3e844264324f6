"""The SQL of a person's events: each once, in order, as numbers.

A number sorts as the spec orders events: its time (42 bits), partition (16), offset (48), and then
which conditions the event meets (21) and whether it is a touch with a value for the breakdown (1).
Without the place in the log it has 64 bits, is more than twice as fast, and is as good for all who
have no two events at one time: that is the ``NARROW`` layout, which says who has (``tied``).
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.records import NOT_TOUCHES
from sinks.condition import field_text
from sinks.funnel_spec import MOST_CONDITIONS, Breakdown, Funnel, StepField, Touch
from sinks.sql import Params

TOUCH_BIT = 1 << MOST_CONDITIONS
STEP_BITS = TOUCH_BIT - 1
TIME_BITS = 42
WHOLE = 2**64 - 1


@dataclass(frozen=True)
class Layout:
    """How an event is a number: the type, and how far its time, partition and offset are shifted.

    The time is in the highest 42 bits of either.
    """

    type: str
    time: int
    partition: int | None = None
    offset: int | None = None

    def of(self, number: str) -> str:
        """Return the SQL of a number in the type."""
        return f"to{self.type}({number})"

    def at(self, milliseconds: str) -> str:
        """Return the SQL of the lowest number of a time."""
        return f"bitShiftLeft({self.of(milliseconds)}, {self.time})"

    def time_of(self, event: str) -> str:
        """Return the SQL of an event's time in milliseconds."""
        return f"toInt64(bitShiftRight({event}, {self.time}))"

    @property
    def last(self) -> str:
        """The SQL of the greatest number, which is no event."""
        return f"bitNot({self.of('0')})"

    @property
    def no_time(self) -> str:
        """The SQL of the greatest number at time 0."""
        return f"bitShiftRight({self.last}, {TIME_BITS})"


NARROW = Layout("UInt64", time=22)
WIDE = Layout("UInt128", time=86, partition=70, offset=22)


def meets(event: str, bits: int) -> str:
    """Return the SQL of whether an event meets one of the conditions of these bits."""
    return f"bitAnd({event}, {bits}) != 0"


def people(
    funnel: Funnel,
    params: Params,
    layout: Layout,
    share: float,
    by: Breakdown | None,
    *,
    named: bool,
    only: Sequence[int] = (),
) -> str:
    """Return the SQL of one row for each person: ``events``, and for a breakdown more.

    Columns: ``person`` (the hash, or the id where ``named``), ``events`` in order, ``touches`` (all
    of them with a value for the breakdown, too), ``found`` and ``found_values`` in no order, and
    whether the order is not known because of ties that the layout cannot tell apart (``tied``).
    """
    person = "user_id" if named else "cityHash64(user_id)"
    among = f"AND cityHash64(user_id) IN {params.hashes(only)}" if only else ""
    steps = f"arrayFilter(x -> {meets('x', STEP_BITS)}, touches)"
    events = steps if isinstance(by, Touch) and funnel.order != "strict" else "touches"
    each_once = _wide if layout is WIDE else _narrow
    found = f"""
        SELECT
            {person} AS person,
            groupArray(number) AS found,
            {"groupArray(id)" if layout is WIDE else "[]"} AS ids,
            {_values(by)} AS found_values
        FROM touchpoints
        WHERE {_wanted(funnel, by, params)}
          AND cityHash64(user_id) <= {params.hash(min(int(share * 2**64), WHOLE))}
          {among}
        GROUP BY person"""
    return f"""
        WITH
            {_mask(funnel, by, params)} AS mask,
            toUnixTimestamp64Milli(occurred_at) AS at,
            bitXor(cityHash64(event_id), toUInt64(at)) AS id,
            {_number(layout)} AS number
        SELECT *, {events} AS events
        FROM ({each_once(found, alike=funnel.distinct_steps and by is None)})
        WHERE notEmpty(events)"""


def _number(layout: Layout) -> str:
    parts = [layout.at("at"), layout.of("mask")]
    for name, shift in (("partition", layout.partition), ("offset", layout.offset)):
        if shift is not None:
            parts.append(f"bitShiftLeft({layout.of(name)}, {shift})")
    number = parts[0]
    for part in parts[1:]:
        number = f"bitOr({number}, {part})"
    return number


def _narrow(found: str, *, alike: bool) -> str:
    """Return the SQL of the people with their ``touches`` in order, and who has ties.

    Where each event can satisfy one step only, and each step is another one (``alike``), then two
    equal events at one time do what one does: a record that is stored twice is no tie.
    """
    sorted_ = "arrayCompact(arraySort(found))" if alike else "arraySort(found)"
    times = f"arrayCompact(x -> bitShiftRight(x, {NARROW.time}), touches)"
    return f"""
        SELECT *, {sorted_} AS touches, length({times}) < length(touches) AS tied
        FROM ({found})"""


def _wide(found: str, *, alike: bool) -> str:  # noqa: ARG001 - it tells all events apart
    """Return the SQL of the people with their ``touches``, of a repeat the first in the log."""
    # Few people have a repeat: `if` computes for those.
    return f"""
        SELECT *, false AS tied,
            arraySort(if(length(arrayDistinct(ids)) = length(ids), found,
                arrayMap(pair -> pair.1, arrayFilter((pair, n) -> n = 1, pairs,
                    arrayEnumerateUniq(arrayMap(pair -> pair.2, pairs)))))) AS touches
        FROM
        (
            SELECT *, if(length(arrayDistinct(ids)) = length(ids), [],
                arraySort(pair -> bitShiftLeft(pair.1, {TIME_BITS}), arrayZip(found, ids))) AS pairs
            FROM ({found})
        )"""


def _mask(funnel: Funnel, by: Breakdown | None, params: Params) -> str:
    if funnel.distinct_steps and not any(c.where for c in funnel.conditions):
        # One look into the column's dictionary, where a comparison for each step is five of them.
        bit_of = {kind: funnel.bit(c) for c in funnel.conditions for kind in c.kinds}
        kinds = params.texts(tuple(bit_of))
        bits = [f"toUInt32(transform(kind, {kinds}, {list(bit_of.values())}, 0))"]
    else:
        bits = [f"toUInt32({c.sql(params)}) * {funnel.bit(c)}" for c in funnel.conditions]
    if isinstance(by, Touch):
        bits.append(f"toUInt32({by.field} != '' AND kind NOT IN {NOT_TOUCHES}) * {TOUCH_BIT}")
    return f"({' + '.join(bits)})"


def _values(by: Breakdown | None) -> str:
    match by:
        case Touch(field=field):
            return f"groupArray(toString({field}))"
        case StepField(field=field):
            return f"groupArray(if(mask != 0, {field_text(field)}, ''))"
    return "[]"


def _wanted(funnel: Funnel, by: Breakdown | None, params: Params) -> str:
    """Return the SQL of the rows that can matter."""
    kinds = {kind for condition in funnel.conditions for kind in condition.kinds}
    wanted = [f"kind IN {params.texts(tuple(sorted(kinds)))}"]
    if funnel.order == "strict":
        wanted = [f"(mask != 0 OR kind NOT IN {NOT_TOUCHES})"]
    elif isinstance(by, Touch):
        wanted = ["mask != 0"]
    elif any(condition.where for condition in funnel.conditions):
        wanted.append("mask != 0")
    if funnel.since is not None and funnel.entry == "latest" and not isinstance(by, Touch):
        wanted.append(f"toUnixTimestamp64Milli(occurred_at) >= {params.whole(funnel.since)}")
    if funnel.lateness_ms is not None:
        late = f"appended_at - toIntervalMillisecond({params.whole(funnel.lateness_ms)})"
        wanted.append(f"(occurred_at >= {late} OR backfill)")
        wanted.append(
            "(partition, offset) NOT IN (SELECT source_partition, source_offset FROM dead_letters)"
        )
    if funnel.until is not None:
        end = params.whole(funnel.until + funnel.window_ms)
        wanted.append(f"toUnixTimestamp64Milli(occurred_at) < {end}")
    return " AND ".join(wanted)
