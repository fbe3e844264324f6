"""The SQL of a person's events: each once, in order, as numbers of 128 bits.

A number sorts as the spec orders events: its time (42 bits), partition (16), offset (48), and then
which conditions the event meets (21) and whether it is a touch with a value for the breakdown (1).
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from collections.abc import Sequence

from sinks.condition import field_text
from sinks.funnel_spec import MOST_CONDITIONS, Breakdown, Funnel, StepField, Touch
from sinks.sql import NOT_TOUCHES, Params

TIME, PARTITION, OFFSET = 86, 70, 22
TOUCH_BIT = 1 << MOST_CONDITIONS
STEP_BITS = TOUCH_BIT - 1
WHOLE = 2**64 - 1


def time_of(event: str) -> str:
    """Return the SQL of an event's time in milliseconds."""
    return f"toInt64(bitShiftRight({event}, {TIME}))"


def meets(event: str, bits: int) -> str:
    """Return the SQL of whether an event meets one of the conditions of these bits."""
    return f"bitAnd({event}, {bits}) != 0"


def people(
    funnel: Funnel,
    params: Params,
    share: float,
    by: Breakdown | None,
    *,
    named: bool,
    only: Sequence[int] = (),
) -> str:
    """Return the SQL of one row for each person: ``events``, and for a breakdown more.

    Columns: ``person`` (the hash, or the id where ``named``), ``events`` in order, ``touches`` (all
    of them with a value for the breakdown, too), ``found`` and ``found_values`` in no order.
    """
    person = "user_id" if named else "cityHash64(user_id)"
    among = f"AND cityHash64(user_id) IN {params.hashes(only)}" if only else ""
    steps = f"arrayFilter(x -> {meets('x', STEP_BITS)}, touches)"
    events = steps if isinstance(by, Touch) and funnel.order != "strict" else "touches"
    # Of a repeated event the first in the log stays. Few people have one: `if` computes for those.
    return f"""
        WITH
            {_mask(funnel, by, params)} AS mask,
            bitOr(
                bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(occurred_at)), {TIME}),
                      bitShiftLeft(toUInt128(partition), {PARTITION})),
                bitOr(bitShiftLeft(toUInt128(offset), {OFFSET}), toUInt128(mask))) AS number
        SELECT *, {events} AS events
        FROM
        (
            SELECT *, arraySort(if(length(arrayDistinct(ids)) = length(ids), found,
                arrayMap(pair -> pair.1, arrayFilter((pair, n) -> n = 1, pairs,
                    arrayEnumerateUniq(arrayMap(pair -> pair.2, pairs)))))) AS touches
            FROM
            (
                SELECT *, if(length(arrayDistinct(ids)) = length(ids), [],
                    arraySort(pair -> bitShiftLeft(pair.1, {128 - TIME}),
                        arrayZip(found, ids))) AS pairs
                FROM
                (
                    SELECT
                        {person} AS person,
                        groupArray(number) AS found,
                        groupArray(cityHash64(event_id)) AS ids,
                        {_values(by)} AS found_values
                    FROM touchpoints
                    WHERE {_wanted(funnel, by, params)}
                      AND cityHash64(user_id) <= {params.hash(min(int(share * 2**64), WHOLE))}
                      {among}
                    GROUP BY person
                )
            )
        )
        WHERE notEmpty(events)"""


def _mask(funnel: Funnel, by: Breakdown | None, params: Params) -> str:
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
