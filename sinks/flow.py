"""Who moved where: the stages at two instants; and who of a group took part in an activity."""

# ruff: noqa: S608 - names are of this package, values are parameters

from typing import NamedTuple

from sinks.condition import Condition
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse


class Participation(NamedTuple):
    """The measure of an active pool: who took part of those who might have (活动参与率)."""

    group: int
    took_part: int
    rate: float


def stage_flow(
    warehouse: Warehouse,
    earlier: int,
    later: int,
    *,
    machine: str = "aipl",
    limits: Limits | None = None,
) -> dict[tuple[str, str], int]:
    """Return how many people were in one stage at ``earlier`` and in one at ``later``.

    From the facts ``stage_changed`` of the machine: a person's stage at an instant is the new
    one of the latest fact up to it, inclusive; empty before the first. Times are stream times, in
    milliseconds. People without a stage at both are left out.
    """
    params = Params()
    place = "(at, partition, offset)"
    begin, end = params.whole(earlier), params.whole(later)
    at = "toUnixTimestamp64Milli(at)"
    sql = f"""
        SELECT before, after, count() FROM
        (
            SELECT argMaxIf(new, {place}, {at} <= {begin}) AS before, argMax(new, {place}) AS after
            FROM facts
            WHERE kind = 'stage_changed' AND subject = {params.text(machine)} AND {at} <= {end}
            GROUP BY user_id
        )
        WHERE before != '' OR after != ''
        GROUP BY before, after ORDER BY before, after"""
    return {(before, after): n for before, after, n in ask(warehouse, sql, params, limits)}


def participation(
    warehouse: Warehouse,
    group: Condition,
    activity: Condition,
    since: int,
    until: int,
    *,
    limits: Limits | None = None,
) -> Participation:
    """Return the share of a target group who took part from ``since`` to before ``until``.

    Args:
        warehouse: Where.
        group: Who met it at any time before ``until`` is of the group.
        activity: Who met it in the period took part, such as ``activity_attended``.
        since: Milliseconds.
        until: Milliseconds.
        limits: What the query may take.
    """
    params = Params()
    at = "toUnixTimestamp64Milli(occurred_at)"
    kinds = params.texts(tuple(sorted({*group.kinds, *activity.kinds})))
    sql = f"""
        SELECT countIf(is_of), countIf(is_of AND took_part) FROM
        (
            SELECT countIf({group.sql(params)}) > 0 AS is_of,
                countIf({activity.sql(params)} AND {at} >= {params.whole(since)}) > 0 AS took_part
            FROM touchpoints WHERE kind IN {kinds} AND {at} < {params.whole(until)}
            GROUP BY user_id
        )"""
    ((people, took_part),) = ask(warehouse, sql, params, limits)
    return Participation(people, took_part, took_part / people if people else 0.0)
