"""Answer a named funnel from the rows that the worker keeps: one for each person and day of entry.

The answer is that of :mod:`sinks.funnel` on the same log, always. Where a person's rows cannot be
the whole truth, that person is *unsure* and answered from the raw touches, with the very SQL of the
funnel asked ad hoc: the worker says so (its memory is bounded), or touches came before it followed
the funnel. If too many people are unsure, nothing is answered here.
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from datetime import date

from sinks.funnel import FellOut, FunnelResult, result_of
from sinks.funnel_events import WIDE
from sinks.funnel_paths import paths
from sinks.funnel_spec import Funnel
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

UNSURE_AT_MOST = 10_000
"""People whose raw touches are looked at; with more, all people's are."""
_DAY = 86_400_000
_AT = "toUnixTimestamp64Milli"
_TIME_BITS = 42  # of a time, as in funnels over raw touches


@dataclass(frozen=True)
class LiveFunnel:
    """A named funnel whose rows can be asked.

    Attributes:
        funnel: The funnel; its period, if it has one, begins and ends with a day of its zone.
        unsure: Hashes of the people who are answered from raw touches.
        moved_at: When the newest of its rows was appended, in milliseconds.
        came_at: When the newest touch stored was appended.
    """

    funnel: Funnel
    unsure: tuple[int, ...]
    moved_at: int
    came_at: int


@dataclass(frozen=True)
class NotLive:
    """Why a named funnel cannot be answered from rows now."""

    reason: str


def find_live(
    warehouse: Warehouse, funnel: Funnel, *, limits: Limits | None = None
) -> LiveFunnel | NotLive:
    """Find out whether the rows of ``funnel`` can be asked, and about whom they are unsure.

    Args:
        warehouse: Where.
        funnel: With its definition.
        limits: What each query may take.

    Raises:
        sinks.warehouse.WarehouseError: a query failed, or went over its limits.
    """
    params = Params()
    rows = f"""
        SELECT partition, max(version) FROM funnel_progress
        WHERE definition = {params.text(funnel.definition)}
          AND exact AND NOT best AND day = fromUnixTimestamp64Milli(0)
          AND person = cityHash64('') AND user_id = ''
        GROUP BY partition"""
    followed: dict[int, int] = dict(ask(warehouse, rows, params, limits))
    if not followed:
        return NotLive("the worker does not follow it")
    stored = f"""
        SELECT partition, min(offset), max(offset), {_AT}(max(appended_at))
        FROM touchpoints GROUP BY partition"""
    before = {}
    came_at = 0
    for partition, first, last, at in ask(warehouse, stored, Params(), limits):
        start = followed.get(partition, last + 1)
        came_at = max(came_at, at)
        if first < start:
            before[partition] = start
    unsure = _said_unsure(warehouse, funnel, limits) | _met_before(
        warehouse, funnel, before, limits
    )
    if len(unsure) > UNSURE_AT_MOST:
        return NotLive("too many people have touches from before the worker followed it")
    return LiveFunnel(funnel, tuple(sorted(unsure)), _moved_at(warehouse, funnel, limits), came_at)


def run_live(
    warehouse: Warehouse, live: LiveFunnel, *, limits: Limits | None = None
) -> FunnelResult:
    """Count the people who reach each step, as :func:`sinks.funnel.run_funnel` does."""
    params = Params()
    counts = ", ".join(f"countIf(reached >= {k})" for k in range(1, len(live.funnel.steps) + 1))
    sql = f"""
        SELECT [{counts}], quantilesExactForEach(0.5, 0.9)(took)
        FROM ({_attempts(live, params)})"""
    ((people, times),) = ask(warehouse, sql, params, limits)
    return result_of(live.funnel, people, times, 1.0)


def live_trend(
    warehouse: Warehouse, live: LiveFunnel, *, timezone: str = "UTC", limits: Limits | None = None
) -> dict[date, FunnelResult]:
    """Count for each day of entry, as :func:`sinks.funnel.funnel_trend` does."""
    params = Params()
    counts = ", ".join(f"countIf(reached >= {k})" for k in range(1, len(live.funnel.steps) + 1))
    sql = f"""
        SELECT [{counts}], quantilesExactForEach(0.5, 0.9)(took),
            toDate(fromUnixTimestamp64Milli(entered, 'UTC'), {params.text(timezone)}) AS day
        FROM ({_attempts(live, params)}) GROUP BY day ORDER BY day"""
    rows = ask(warehouse, sql, params, limits)
    return {day: result_of(live.funnel, people, times, 1.0) for people, times, day in rows}


def live_fell_out(
    warehouse: Warehouse,
    live: LiveFunnel,
    step: int,
    *,
    after: str = "",
    count: int = 1000,
    limits: Limits | None = None,
) -> list[FellOut]:
    """Return the people whose attempt ended at ``step``, as :func:`sinks.funnel.fell_out` does."""
    params = Params()
    sql = f"""
        SELECT person, entered, last FROM ({_attempts(live, params, named=True)})
        WHERE reached = {params.whole(step)} AND person > {params.text(after)}
        ORDER BY person LIMIT {params.whole(count)}"""
    return [FellOut(*row) for row in ask(warehouse, sql, params, limits)]


def _attempts(live: LiveFunnel, params: Params, *, named: bool = False) -> str:
    """Return the SQL of each person's attempt: person, reached, took, entered and last."""
    if not live.unsure:
        return _kept(live, params, named=named)
    raw = paths(live.funnel, params, named=named, only=live.unsure)
    return f"""
        {_kept(live, params, named=named)}
        UNION ALL
        SELECT person, toUInt8(length(path)) AS reached,
            arrayMap((x, before) -> {WIDE.time_of("x")} - {WIDE.time_of("before")},
                arrayPopFront(path), arrayPopBack(path)) AS took,
            {WIDE.time_of("path[1]")} AS entered, {WIDE.time_of("path[-1]")} AS last
        FROM ({raw})"""


def _kept(live: LiveFunnel, params: Params, *, named: bool) -> str:
    """Return the SQL of the attempts that rows tell."""
    funnel, person = live.funnel, "user_id" if named else "person"
    columns = f"reached, took, {_AT}(times[1]) AS entered, {_AT}(times[-1]) AS last"
    wanted = f"definition = {params.text(funnel.definition)} AND exact AND reached > 0"
    if live.unsure:
        wanted += f" AND funnel_progress.person NOT IN {params.hashes(live.unsure)}"
    if funnel.since is None and funnel.until is None:
        # Of all days the worker writes each person's best.
        return f"""
            SELECT {person} AS person, {columns} FROM funnel_progress FINAL
            WHERE {wanted} AND best"""
    # The farthest attempt, of those the latest: one number is compared far faster than a tuple.
    rank = f"bitShiftLeft(toUInt64(reached), {_TIME_BITS}) + toUInt64({_AT}(times[1]))"
    return f"""
        SELECT {person} AS person, toUInt8(bitShiftRight(best, {_TIME_BITS})) AS reached, took,
            toInt64(bitAnd(best, {2**_TIME_BITS - 1})) AS entered, last
        FROM
        (
            SELECT {person}, max(rank) AS best, argMax(took, rank) AS took,
                argMax(last, rank) AS last
            FROM
            (
                SELECT funnel_progress.{person}, {columns}, {rank} AS rank
                FROM funnel_progress FINAL
                WHERE {wanted} AND NOT best AND {_days(funnel, params)}
            )
            GROUP BY {person}
        )"""


def _days(funnel: Funnel, params: Params) -> str:
    parts = []
    if funnel.since is not None:
        parts.append(f"{_AT}(day) >= {params.whole(funnel.since)}")
    if funnel.until is not None:
        parts.append(f"{_AT}(day) < {params.whole(funnel.until)}")
    return " AND ".join(parts)


def _said_unsure(warehouse: Warehouse, funnel: Funnel, limits: Limits | None) -> set[int]:
    """Return the people of whom the worker was not sure on days that concern the period."""
    params = Params()
    reach = funnel.window_ms + 3 * _DAY  # from the day said back to the first that it concerns
    until = None if funnel.until is None else funnel.until + reach
    period = _days(funnel.between(funnel.since, until), params)
    sql = f"""
        SELECT DISTINCT person FROM funnel_progress
        WHERE definition = {params.text(funnel.definition)} AND NOT exact
          {f"AND {period}" if period else ""}
        LIMIT {UNSURE_AT_MOST + 1}"""
    return {person for (person,) in ask(warehouse, sql, params, limits)}


def _met_before(
    warehouse: Warehouse, funnel: Funnel, before: dict[int, int], limits: Limits | None
) -> set[int]:
    """Return the people with a touch of the funnel from before the worker followed it."""
    if not before:
        return set()
    params = Params()
    places = " OR ".join(
        f"(partition = {params.whole(partition)} AND offset < {params.whole(start)})"
        for partition, start in before.items()
    )
    meets = " OR ".join(f"({condition.sql(params)})" for condition in funnel.conditions)
    wanted = [f"({places})", f"({meets})"]
    if funnel.since is not None and funnel.entry == "latest":
        wanted.append(f"{_AT}(occurred_at) >= {params.whole(funnel.since)}")
    if funnel.until is not None:
        wanted.append(f"{_AT}(occurred_at) < {params.whole(funnel.until + funnel.window_ms)}")
    sql = f"""
        SELECT DISTINCT cityHash64(user_id) FROM touchpoints WHERE {" AND ".join(wanted)}
        LIMIT {UNSURE_AT_MOST + 1}"""
    return {person for (person,) in ask(warehouse, sql, params, limits)}


def _moved_at(warehouse: Warehouse, funnel: Funnel, limits: Limits | None) -> int:
    params = Params()
    sql = f"""
        SELECT {_AT}(max(appended_at)) FROM funnel_progress
        WHERE definition = {params.text(funnel.definition)}"""
    ((at,),) = ask(warehouse, sql, params, limits)
    return int(at)
