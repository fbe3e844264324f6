"""What happens, by minute and by day: from the rows that workers keep, or from the raw log.

Both ways answer the same question under the same rules (``docs/warehouse.md``, "Live figures"); the
raw one needs the touches and facts of all time and is there to check the other.
"""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.records import NOT_TOUCHES
from sinks.orders import OrderRules
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

Grain = Literal["minute", "day"]
Dimension = Literal["all", "channel", "campaign", "stage", "segment"]


@dataclass(frozen=True)
class Live:
    """The windows that begin from ``since`` to before ``until`` (milliseconds), by a dimension."""

    grain: Grain
    since: int
    until: int
    dimension: Dimension = "all"


@dataclass(frozen=True)
class LiveRules:
    """What the raw way must know of the playbook.

    Attributes:
        orders: Which orders count.
        lateness: Milliseconds after which an event is too late to be applied.
        timezone: Whose days.
    """

    orders: OrderRules
    lateness: int
    timezone: str


class Figures(NamedTuple):
    """The sums of one window and value; ``start`` in milliseconds, money in minor units."""

    start: int
    value: str
    touches: int
    people: int
    new_people: int
    orders: int
    revenue_minor: int


def live(warehouse: Warehouse, question: Live, limits: Limits | None = None) -> list[Figures]:
    """Return the figures by window and value, from the live aggregates."""
    params = Params()
    sql = f"""
        SELECT toUnixTimestamp64Milli(start), value,
            sum(t), sum(p), sum(n), sum(o), sum(r)
        FROM
        (
            SELECT * FROM aggregates FINAL
            WHERE grain = {params.text(question.grain)}
              AND start >= fromUnixTimestamp64Milli({params.whole(question.since)}, 'UTC')
              AND start < fromUnixTimestamp64Milli({params.whole(question.until)}, 'UTC')
        )
        ARRAY JOIN dimensions AS dimension, values AS value,
            touches AS t, people AS p, new_people AS n, orders AS o, revenue_minor AS r
        WHERE dimension = {params.text(question.dimension)}
        GROUP BY start, value
        ORDER BY start, value"""
    return [Figures(*row) for row in ask(warehouse, sql, params, limits)]


def live_from_raw(
    warehouse: Warehouse, question: Live, rules: LiveRules, limits: Limits | None = None
) -> list[Figures]:
    """Return the same figures from touchpoints, facts and dead letters."""
    params = Params()
    touch = f"kind NOT IN {NOT_TOUCHES}"
    start = (
        "intDiv(max(at) OVER (PARTITION BY user_id ORDER BY offset), 60000) * 60000"
        if question.grain == "minute"
        else "toUnixTimestamp64Milli(toDateTime64(toStartOfDay(fromUnixTimestamp64Milli("
        f"least(occurred, at), {params.text(rules.timezone)})), 3))"
    )
    value = "''" if question.dimension == "all" else question.dimension
    sql = f"""
        WITH
            applied AS ({_applied(rules, params)}),
            money AS ({_money(rules.orders, params)}),
            touches AS
            (
                SELECT *, {start} AS start,
                    earlier = 0 AS new
                FROM
                (
                    SELECT *, count() OVER (PARTITION BY user_id ORDER BY offset
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
                    FROM ({_with_state(params)})
                    WHERE kind != '' AND {touch}
                )
                WHERE NOT backfill
            )
        SELECT touches.start AS start, {value} AS value, count(), uniqExact(user_id), sum(new),
            sum(money.orders), sum(money.revenue)
        FROM touches LEFT JOIN money USING (user_id, event_id)
        WHERE start >= {params.whole(question.since)} AND start < {params.whole(question.until)}
        GROUP BY start, value
        ORDER BY start, value"""
    return [Figures(*row) for row in ask(warehouse, sql, params, limits)]


def _applied(rules: LiveRules, params: Params) -> str:
    """Return the SQL of the events that were applied: each once, not late, not rejected."""
    return f"""
        SELECT user_id, event_id, kind, backfill, channel, campaign, order_id, amount_minor, offset,
            toUnixTimestamp64Milli(appended_at) AS at,
            toUnixTimestamp64Milli(occurred_at) AS occurred
        FROM touchpoints FINAL
        WHERE (backfill OR at - occurred <= {params.whole(rules.lateness)})
          AND (partition, offset) NOT IN
              (SELECT source_partition, source_offset FROM dead_letters FINAL)
        ORDER BY partition, offset LIMIT 1 BY user_id, event_id"""


def _money(rules: OrderRules, params: Params) -> str:
    """Return the SQL of what each event changed in its order's verdict and net value."""
    least = params.whole(rules.min_order_minor)
    return f"""
        SELECT user_id, event_id,
            toInt64(counts) - lagInFrame(toInt64(counts), 1, 0) OVER before AS orders,
            net - lagInFrame(net, 1, 0) OVER before AS revenue
        FROM
        (
            SELECT user_id, event_id, order_id, offset,
                sum(if(kind = 'order_paid', amount_minor, 0)) OVER so_far AS paid,
                sum(if(kind = 'order_paid', 0, amount_minor)) OVER so_far AS refunded,
                countIf(kind = 'order_paid') OVER so_far AS payments,
                payments > 0 AND paid >= {least} AND (refunded = 0 OR refunded < paid) AS counts,
                if(counts, paid - refunded, 0) AS net
            FROM applied WHERE kind IN ('order_paid', 'order_refunded')
            WINDOW so_far AS (PARTITION BY user_id, order_id ORDER BY offset)
        )
        WINDOW before AS (PARTITION BY user_id, order_id ORDER BY offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"""


def _with_state(params: Params) -> str:
    """Return the SQL of the applied events with the stage and the segment after each.

    A fact of an event lies at the event, one of a timer before what was appended at its time.
    """
    kinds = params.texts(("stage_changed", "segment_changed"))
    subjects = params.texts(("aipl", "rfm"))
    return f"""
        SELECT *,
            argMaxIf(new_value, place, subject = 'aipl') OVER life AS stage,
            argMaxIf(new_value, place, subject = 'rfm') OVER life AS segment
        FROM
        (
            SELECT user_id, event_id, kind, backfill, channel, campaign, offset, at, occurred,
                (at, toInt64(offset), 1) AS place, '' AS subject, '' AS new_value
            FROM applied
            UNION ALL
            SELECT fact.user_id, '', '', false, '', '', toUInt64(0), fact.at, toInt64(0),
                (fact.at, if(cause_kind = 'event', toInt64(applied.offset), -1), 0), subject, new
            FROM
            (
                SELECT user_id, cause_id, cause_kind, subject, new,
                    toUnixTimestamp64Milli(at) AS at
                FROM facts FINAL
                WHERE kind IN {kinds} AND subject IN {subjects}
            ) AS fact
            LEFT JOIN applied ON fact.user_id = applied.user_id AND fact.cause_id = applied.event_id
        )
        WINDOW life AS (PARTITION BY user_id ORDER BY place)"""
