"""The SQL of funnels: for each person the path, the events of the attempt that counts.

Every rule is a pass of array functions over a person's events. None looks at the whole array for
one of its elements, so the work grows with the number of events, however they spread over people.

Ordered and strict: ``e<k>`` has, at each event that satisfies step k, the latest entry from which
that was reached, else 0. What an event finds is the last value before it (``arrayFill``): entries
only move forward and later is better, so no other entry is kept. An exclusion puts 0 in between.

Any order: ``n<i>_<m>`` has, at each event, the m-th event from it on that meets one of a union of
conditions. By Hall's theorem k of a group of K overlapping steps can be matched with the events up
to x if, for each union of T of them, at least k - K + T events up to x meet one of the T.
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from collections.abc import Sequence

from schemas.rules import END_OF_TIME
from sinks.condition import Condition
from sinks.funnel_events import TIME_BITS, TOUCH_BIT, WIDE, Layout, meets, people
from sinks.funnel_spec import Breakdown, Funnel, StepField, unions
from sinks.sql import Params

_END_OF_TIME = 2**TIME_BITS - 1
_SPARE_TIME = _END_OF_TIME - END_OF_TIME
"""Milliseconds that can be added to any event's time before its 42 bits are full: nine years."""


def paths(
    funnel: Funnel,
    params: Params,
    layout: Layout = WIDE,
    *,
    share: float = 1.0,
    by: Breakdown | None = None,
    named: bool = False,
    only: Sequence[int] = (),
) -> str:
    """Return the SQL of one row for each person who entered.

    Columns: ``person`` (the hash of the id, or the id where ``named``), ``path`` (the numbers of
    the attempt's events, one for each step reached), ``value`` of the breakdown, NULL where a
    person has none, and ``tied``: the layout cannot tell this person's path, whether or not there
    is one. With the wide layout nobody is. With ``only``, of the people with these hashes.
    """
    find = _any_order if funnel.order == "any" else _chain
    events = people(funnel, params, layout, share, by, named=named, only=only)
    return f"""
        SELECT person, path, {_value(by)} AS value, tied
        FROM (SELECT *, {find(funnel, params, layout)} FROM ({events}))
        WHERE notEmpty(path) OR tied"""


def _value(by: Breakdown | None) -> str:
    if by is None:
        return "''"
    if isinstance(by, StepField):
        known = f"found_values[indexOf(found, path[{by.step}])]"
        return f"if(length(path) < {by.step}, NULL, toNullable({known}))"
    touches = f"arrayFilter(x -> x <= path[1] AND {meets('x', TOUCH_BIT)}, touches)"
    end = "1" if by.which == "first" else "-1"
    return f"found_values[indexOf(found, ({touches})[{end}])]"


def _enters(funnel: Funnel, params: Params, layout: Layout, bits: int) -> str:
    """Return the SQL of whether the event ``x`` opens an attempt that may count."""
    parts = [meets("x", bits)]
    if funnel.entry == "first":
        parts.append(f"x = arrayFirst(y -> {meets('y', bits)}, events)")
    if funnel.since is not None:
        parts.append(f"{layout.time_of('x')} >= {params.whole(funnel.since)}")
    if funnel.until is not None:
        parts.append(f"{layout.time_of('x')} < {params.whole(funnel.until)}")
    return " AND ".join(parts)


def _chain(funnel: Funnel, params: Params, layout: Layout) -> str:
    """Return the SQL of the path of an ordered or strict funnel."""
    bits = [funnel.bit(step.condition) for step in funnel.steps]
    within = _within(funnel, params, layout)
    enters = _enters(funnel, params, layout, bits[0])
    columns = [f"arrayMap(x -> if({enters}, x, 0), events) AS e1"]
    for k, bit in enumerate(bits[1:], 2):
        held = f"e{k - 1}"
        if funnel.order == "ordered":
            ends = _exclusions(funnel, after=k - 1, before=k)
            held = (
                f"arrayFill((e, x) -> e != 0 OR {meets('x', ends)}, {held}, events)"
                if ends
                else f"arrayFill(e -> e != 0, {held})"
            )
        carried = f"{meets('x', bit)} AND e != 0 AND {within}"
        inside = _exclusions(funnel, after=k - 1, before=k + 1)
        if inside:
            carried += f" AND NOT {meets('x', inside)}"
        columns.append(
            f"arrayMap((x, e) -> if({carried}, e, 0), events, "
            f"arrayPopBack(arrayPushFront({held}, {layout.of('0')}))) AS e{k}"
        )
    best = [f"arrayMax(e{k})" for k in range(1, len(bits) + 1)]
    columns.append(f"[{', '.join(best)}] AS best")
    columns.append("countEqual(arrayMap(entry -> entry != 0, best), 1) AS level")
    columns.append("best[level] AS entry")
    columns += [_taken(funnel, k) for k in range(len(bits), 0, -1)]
    taken = ", ".join(f"x{k}" for k in range(1, len(bits) + 1))
    columns.append(f"arraySlice([{taken}], 1, level) AS path")
    return ",\n".join(columns)


def _within(funnel: Funnel, params: Params, layout: Layout) -> str:
    """Return the SQL of whether the event ``x`` lies within the window of the entry ``e``."""
    window = params.whole(min(funnel.window_ms, _END_OF_TIME))
    if funnel.window_ms > _SPARE_TIME:
        return f"{layout.time_of('x')} - {layout.time_of('e')} <= {window}"
    # The same without taking the numbers apart, a fifth of the whole query faster.
    return f"x <= bitOr(e + {layout.at(window)}, {layout.no_time})"


def _exclusions(funnel: Funnel, *, after: int, before: int) -> int:
    """Return the bits of the exclusions that hold from step ``after`` or earlier to ``before``."""
    bits = 0
    for exclusion in funnel.exclusions:
        if exclusion.after <= after and exclusion.before >= before:
            bits |= funnel.bit(exclusion.condition)
    return bits


def _taken(funnel: Funnel, k: int) -> str:
    """Return the SQL of the event that satisfied step k: the first that held until the next."""
    ends = _exclusions(funnel, after=k, before=k + 1)
    first = f"events[indexOf(e{k}, entry)]"
    if not ends or k == len(funnel.steps):
        return f"{first} AS x{k}"
    last_end = f"arrayMax(arrayFilter(x -> x < x{k + 1} AND {meets('x', ends)}, events))"
    held = f"arrayFirst((x, e) -> e = entry AND x >= {last_end}, events, e{k})"
    return f"if(level = {k}, {first}, {held}) AS x{k}"


def _any_order(funnel: Funnel, params: Params, layout: Layout) -> str:
    """Return the SQL of the path of an any-order funnel."""
    columns: list[str] = []
    times: list[str] = []
    for group in funnel.overlapping():
        times += _times_of(funnel, layout, group, columns, first=len(times) + 1)
    steps, ends = 0, 0
    for step in funnel.steps:
        steps |= funnel.bit(step.condition)
    for exclusion in funnel.exclusions:
        ends |= funnel.bit(exclusion.condition)
    window = params.whole(min(funnel.window_ms, _END_OF_TIME))
    end = f"least({layout.time_of('x')} + {window}, {_END_OF_TIME})"
    until = f"bitOr({layout.at(end)}, {layout.no_time})"
    reached = " + ".join(f"(t{k} <= limit)" for k in range(1, len(times) + 1))
    names = ", ".join(f"t{k}" for k in range(1, len(times) + 1))
    counted = f"(x, limit, {names}) -> if({_enters(funnel, params, layout, steps)}, {reached}, 0)"
    in_order = f"arraySort([{', '.join(f'{time}[place]' for time in times)}])"
    columns += [
        f"{_shifted(layout, _next_that(layout, meets('x', ends)))} AS ending",
        f"arrayMap((x, next) -> least(next, {until}), events, ending) AS limits",
        f"arrayMap({counted}, events, limits, {', '.join(times)}) AS levels",
        "arrayMax(levels) AS level",
        # The last event from which the most steps are reached.
        "length(levels) + 1 - indexOf(arrayReverse(levels), level) AS place",
        f"arraySlice({in_order}, 1, level) AS path",
    ]
    return ",\n".join(columns)


def _times_of(
    funnel: Funnel, layout: Layout, group: dict[Condition, int], columns: list[str], first: int
) -> list[str]:
    """Add to ``columns`` when 1, 2, ... steps of the group are done; return their names."""
    size = sum(group.values())
    bounds: dict[int, list[str]] = {k: [] for k in range(1, size + 1)}
    for number, union in enumerate(unions(group)):
        bits = sum(funnel.bit(condition) for condition in union)
        many = sum(group[condition] for condition in union)
        previous = ""
        for m in range(1, many + 1):
            name = f"n{first}_{number}_{m}"
            columns.append(f"{_nth_that(layout, meets('x', bits), previous)} AS {name}")
            bounds[size - many + m].append(name)
            previous = name
    done = []
    for k, names in bounds.items():
        letters = [f"v{i}" for i in range(len(names))]
        latest = f"arrayMax([{', '.join(letters)}])"
        columns.append(
            f"arrayMap(({', '.join(letters)}) -> {latest}, {', '.join(names)}) AS d{first + k - 1}"
        )
        done.append(f"d{first + k - 1}")
    return done


def _next_that(layout: Layout, test: str) -> str:
    """Return the SQL of, at each event, the first event from it on that passes."""
    marked = f"arrayMap(x -> if({test}, x, {layout.last}), events)"
    return f"arrayReverseFill(y -> y != {layout.last}, {marked})"


def _nth_that(layout: Layout, test: str, previous: str) -> str:
    """Return the SQL of the event after the one in ``previous`` that passes, at each event."""
    if not previous:
        return _next_that(layout, test)
    following = _shifted(layout, previous)
    marked = f"arrayMap((x, n) -> if({test}, n, {layout.last}), events, {following})"
    return f"arrayReverseFill((n, x) -> {test}, {marked}, events)"


def _shifted(layout: Layout, values: str) -> str:
    """Return the SQL of the values, each moved to the event before."""
    return f"arrayPushBack(arrayPopFront({values}), {layout.last})"
