"""Retention: of the people who began in a period, how many came back in each period after."""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from sinks.condition import Condition
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

Unit = Literal["day", "week", "month"]


@dataclass(frozen=True)
class Retention:
    """A cohort matrix.

    Attributes:
        begins: A person's first event, ever, that meets it opens the person's cohort.
        returns: An event that meets it, from the first one on, is a return.
        unit: Calendar periods; weeks begin on Monday.
        timezone: Whose calendar.
        periods: After how many periods to stop looking.
    """

    begins: Condition
    returns: Condition
    unit: Unit = "month"
    timezone: str = "UTC"
    periods: int = 12


class Cohort(NamedTuple):
    """The people who began in the period that starts on ``start``.

    ``returned[k]`` of them came back k periods later, 0 being the period itself; it ends with the
    last period in which anybody of any cohort did.
    """

    start: date
    people: int
    returned: tuple[int, ...]


def retention(
    warehouse: Warehouse, question: Retention, *, limits: Limits | None = None
) -> list[Cohort]:
    """Return the cohorts in order of time. Repeats change nothing: people are counted."""
    params = Params()
    unit, zone = question.unit, params.text(question.timezone)
    kinds = tuple(sorted({*question.begins.kinds, *question.returns.kinds}))
    day = f"toDate(occurred_at, {zone})"
    start = {"day": day, "week": f"toMonday({day})", "month": f"toStartOfMonth({day})"}[unit]
    sql = f"""
        SELECT cohort, later, uniqExact(user_id) AS people FROM
        (
            SELECT user_id, first.2 AS cohort,
                arrayJoin(arrayDistinct(arrayConcat([-1], arrayMap(
                    event -> dateDiff('{unit}', cohort, event.2),
                    arrayFilter(event -> event.1 >= first.1, events))))) AS later
            FROM
            (
                SELECT user_id,
                    minIf(((occurred_at, partition, offset), {start}),
                          {question.begins.sql(params)}) AS first,
                    groupUniqArrayIf(((occurred_at, partition, offset), {start}),
                          {question.returns.sql(params)}) AS events
                FROM touchpoints
                WHERE kind IN {params.texts(kinds)}
                GROUP BY user_id
                HAVING countIf({question.begins.sql(params)}) > 0
            )
        )
        WHERE later <= {params.whole(question.periods)}
        GROUP BY cohort, later ORDER BY cohort, later"""
    cells = {(cohort, later): n for cohort, later, n in ask(warehouse, sql, params, limits)}
    last = max((later for _, later in cells), default=-1)
    return [
        Cohort(start, people, tuple(cells.get((start, k), 0) for k in range(last + 1)))
        for (start, later), people in cells.items()
        if later == -1
    ]
