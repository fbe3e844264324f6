"""Answer a named funnel from the rows that the worker keeps: one for each person and day of entry.

The answer is that of :mod:`sinks.funnel` on the same log, always. Where a person's rows cannot be
the whole truth, that person is *unsure* and answered from the raw touches, with the very SQL of the
funnel asked ad hoc: the worker says so (its memory is bounded), or touches came before it followed
the funnel. If too many people are unsure, nothing is answered here.
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from datetime import date

from schemas.rules import END_OF_TIME
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
    followed: dict[int, int] = {}
    stored: dict[int, tuple[int, int]] = {}
    unsure: set[int] = set()
    moved_at = came_at = 0
    params = Params()
    for told, key, first, last, at in ask(warehouse, _known(funnel, params), params, limits):
        match told:
            case "rows":
                if last:
                    followed[key] = first
                moved_at = max(moved_at, at)
            case "touches":
                stored[key] = first, last
                came_at = max(came_at, at)
            case "unsure":
                unsure.add(key)
    if not followed:
        return NotLive("the worker does not follow it")
    # Of a partition that is not followed, all that is there came before.
    starts = {number: followed.get(number, last + 1) for number, (_, last) in stored.items()}
    before = {number: start for number, start in starts.items() if stored[number][0] < start}
    unsure |= _met_before(warehouse, funnel, before, limits)
    if len(unsure) > UNSURE_AT_MOST:
        return NotLive(f"more than {UNSURE_AT_MOST:,} people cannot be answered from rows")
    return LiveFunnel(funnel, tuple(sorted(unsure)), moved_at, came_at)


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
    funnel = live.funnel
    wanted = ["exact", "reached > 0"]
    if live.unsure:
        wanted.append(f"funnel_progress.person NOT IN {params.hashes(live.unsure)}")
    if funnel.since is None and funnel.until is None:
        wanted.append("best")  # of all days the worker writes each person's best
    else:
        since, until = max(funnel.since or 0, 0), min(funnel.until or END_OF_TIME, END_OF_TIME)
        wanted += ["NOT best", *_days(funnel, params)]
        # Of a person's days in the period that is one: no other one came farther, or as far later.
        wanted.append(f"until >= {_time(params.whole(until))}")
        wanted.append(f"after < {_time(params.whole(since))}")
    return f"""
        SELECT {"user_id" if named else "person"} AS person, reached, took,
            {_AT}(funnel_progress.entered) AS entered, {_AT}(times[-1]) AS last
        FROM funnel_progress FINAL
        WHERE definition = {params.text(funnel.definition)} AND {" AND ".join(wanted)}"""


def _days(funnel: Funnel, params: Params) -> list[str]:
    """Return the SQL of whether a row's day is in the period."""
    parts = []
    if funnel.since is not None:
        parts.append(f"day >= {_time(params.whole(funnel.since))}")
    if funnel.until is not None:
        parts.append(f"day < {_time(params.whole(funnel.until))}")
    return parts


def _time(milliseconds: str) -> str:
    return f"fromUnixTimestamp64Milli({milliseconds}, 'UTC')"


def _known(funnel: Funnel, params: Params) -> str:
    """Return the SQL of all that tells whether rows can answer: one question instead of four."""
    definition = params.text(funnel.definition)
    reach = funnel.window_ms + 3 * _DAY  # from the day said back to the first that it concerns
    until = None if funnel.until is None else funnel.until + reach
    period = _days(funnel.between(funnel.since, until), params)
    doubts = " AND ".join([f"definition = {definition}", "NOT exact", *period])
    # By partition: from which offset on the worker followed it (a row without a person says so),
    # and when a row was last appended; which offsets are there. And of whom it was not sure.
    return f"""
        SELECT * FROM
        (
            SELECT 'rows', toUInt64(partition), maxIf(version, person = cityHash64('')),
                countIf(person = cityHash64('')), {_AT}(max(appended_at))
            FROM funnel_progress WHERE definition = {definition} GROUP BY partition
            UNION ALL
            SELECT 'touches', toUInt64(partition), min(offset), max(offset),
                {_AT}(max(appended_at))
            FROM touchpoints GROUP BY partition
            UNION ALL
            SELECT DISTINCT 'unsure', person, toUInt64(0), toUInt64(0), toInt64(0)
            FROM funnel_progress WHERE {doubts} LIMIT {UNSURE_AT_MOST + 1}
        )"""


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
