"""Ask for a funnel: people and times by step, by part, by day, and who fell out.

``docs/funnels.md`` says what is counted, :mod:`sinks.funnel_spec` how to write a funnel down, and
:mod:`sinks.funnel_paths` how it is computed.
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import sqrt
from typing import Any, NamedTuple

from sinks.funnel_events import NARROW, WIDE, Layout
from sinks.funnel_paths import paths
from sinks.funnel_spec import Breakdown, Funnel
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

_CONFIDENCE = 1.959964  # standard errors on either side: 95 %


class StepResult(NamedTuple):
    """The people who reached a step, and how long they took from the step before.

    Attributes:
        name: Of the step.
        people: Who reached it; estimated where a sample was taken.
        from_previous: Their share of the step before; of nobody it is 0.
        from_first: Their share of the first step.
        median_ms: Milliseconds from the step before; None for the first step and for nobody.
        p90_ms: Nine of ten took less.
        error: In people, on either side of ``people``, at 95 % confidence; 0 without sampling.
    """

    name: str
    people: int
    from_previous: float
    from_first: float
    median_ms: int | None = None
    p90_ms: int | None = None
    error: float = 0.0


@dataclass(frozen=True)
class FunnelResult:
    """The answer, one result for each step.

    Attributes:
        funnel: What was asked.
        steps: In order.
        share: Of all people, who were looked at.
    """

    funnel: Funnel
    steps: tuple[StepResult, ...]
    share: float = 1.0


class FellOut(NamedTuple):
    """A person whose attempt ended: the times of its first and last event, in milliseconds."""

    user_id: str
    entered_at: int
    last_at: int


def _steps(layout: Layout) -> str:
    return f"""
    max(tied),
    sumForEach(arrayMap(x -> toUInt64(1), path)),
    quantilesExactForEach(0.5, 0.9)(
        arrayMap((x, before) -> {layout.time_of("x")} - {layout.time_of("before")},
            arrayPopFront(path), arrayPopBack(path)))"""


def run_funnel(
    warehouse: Warehouse, funnel: Funnel, *, share: float = 1.0, limits: Limits | None = None
) -> FunnelResult:
    """Count the people who reach each step of ``funnel``, over all touchpoints stored.

    Args:
        warehouse: Where.
        funnel: What.
        share: Of people to look at, above 0 and at most 1: always the same people. The counts are
            scaled up and state their error.
        limits: What the query may take.

    Raises:
        ValueError: ``share`` is not a share.
        sinks.warehouse.WarehouseError: the query failed, or went over its limits.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a sample is a share above 0 and at most 1, not {share}")

    def sql(layout: Layout, params: Params) -> str:
        return f"SELECT {_steps(layout)} FROM ({paths(funnel, params, layout, share=share)})"

    ((people, times),) = _ask(warehouse, sql, limits)
    return result_of(funnel, people, times, share)


def run_funnel_by(
    warehouse: Warehouse, funnel: Funnel, by: Breakdown, *, limits: Limits | None = None
) -> dict[str | None, FunnelResult]:
    """Count as :func:`run_funnel` for each value of a breakdown, the largest first.

    The parts add up to the whole. None is the part of those who have no value, because they did not
    reach the step that it is a field of.
    """

    def sql(layout: Layout, params: Params) -> str:
        return f"""
            SELECT {_steps(layout)}, value FROM ({paths(funnel, params, layout, by=by)})
            GROUP BY value ORDER BY count() DESC, value"""

    rows = _ask(warehouse, sql, limits)
    return {value: result_of(funnel, people, times, 1.0) for people, times, value in rows}


def funnel_trend(
    warehouse: Warehouse, funnel: Funnel, *, timezone: str = "UTC", limits: Limits | None = None
) -> dict[date, FunnelResult]:
    """Count as :func:`run_funnel` for each day of entry, in the days of ``timezone``.

    A day less than the window ago is not over: who entered on it may still convert.
    """

    def sql(layout: Layout, params: Params) -> str:
        entered = f"fromUnixTimestamp64Milli({layout.time_of('path[1]')}, 'UTC')"
        return f"""
            SELECT {_steps(layout)}, toDate({entered}, {params.text(timezone)}) AS day
            FROM ({paths(funnel, params, layout)}) GROUP BY day ORDER BY day"""

    rows = _ask(warehouse, sql, limits)
    return {day: result_of(funnel, people, times, 1.0) for people, times, day in rows}


def fell_out(
    warehouse: Warehouse,
    funnel: Funnel,
    step: int,
    *,
    after: str = "",
    count: int = 1000,
    limits: Limits | None = None,
) -> list[FellOut]:
    """Return the people whose attempt ended at ``step`` (from 1), ordered by user id.

    Args:
        warehouse: Where.
        funnel: What.
        step: The last step that they reached.
        after: The last user id of the page before.
        count: People in a page.
        limits: What the query may take.
    """
    params = Params()
    sql = f"""
        SELECT person, {WIDE.time_of("path[1]")}, {WIDE.time_of("path[-1]")}
        FROM ({paths(funnel, params, named=True)})
        WHERE length(path) = {params.whole(step)} AND person > {params.text(after)}
        ORDER BY person LIMIT {params.whole(count)}"""
    return [FellOut(*row) for row in ask(warehouse, sql, params, limits)]


def _ask(
    warehouse: Warehouse, sql: Callable[[Layout, Params], str], limits: Limits | None
) -> list[tuple[Any, ...]]:
    """Return the rows without their first column, ``max(tied)``: narrow where that is exact."""
    rows: list[tuple[Any, ...]] = []
    for layout in (NARROW, WIDE):
        params = Params()
        rows = ask(warehouse, sql(layout, params), params, limits)
        if not any(tied for tied, *_ in rows):
            break
    return [tuple(row) for _, *row in rows]


def result_of(
    funnel: Funnel, people: list[int], times: list[list[int]], share: float
) -> FunnelResult:
    """Return the answer of these counts by step, and these medians and p90 from step to step."""
    counts = [*people, *[0] * (len(funnel.steps) - len(people))]
    unknown: list[list[int] | list[None]] = [[None, None]] * len(funnel.steps)
    quantiles = [*unknown[:1], *times, *unknown]
    before = [counts[0], *counts]
    return FunnelResult(
        funnel,
        tuple(
            StepResult(
                name,
                round(n / share),
                _share(n, previous),
                _share(n, counts[0]),
                median,
                p90,
                _CONFIDENCE * sqrt(n * (1 - share)) / share,
            )
            for name, n, previous, (median, p90) in zip(
                funnel.titles, counts, before, quantiles, strict=False
            )
        ),
        share,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
