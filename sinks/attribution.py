"""Attribution: which channel (source, campaign) the money of an order is put down to."""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.records import NOT_TOUCHES
from sinks.funnel_spec import TouchField
from sinks.orders import OrderRules, events_once, orders
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

Model = Literal["first", "last", "linear", "position"]

# The sum of the weights of the first i of n touches, and of all n: whole numbers.
_WEIGHTS = {
    "first": ("1", "1"),
    "last": ("if(i < n, 0, 1)", "1"),
    "linear": ("i", "n"),
    # 40 % to the first and to the last, 20 % to those between; half each where there are two.
    "position": (
        "multiIf(i = n, if(n > 2, 5 * (n - 2), n), n > 2, 2 * (n - 2) + i - 1, i)",
        "if(n > 2, 5 * (n - 2), n)",
    ),
}


@dataclass(frozen=True)
class Attribution:
    """How to put orders down to touches.

    Attributes:
        field: The field of the touch that names what is credited; touches without it do not count.
        model: Which of an order's touches share in it.
        lookback_ms: Touches up to so long before the order's first payment count, inclusive.
        since: Milliseconds; orders paid first from then on.
        until: Orders paid first before then.
    """

    field: TouchField = "channel"
    model: Model = "last"
    lookback_ms: int = 30 * 86_400_000
    since: int = 0
    until: int = 2**62


class Credit(NamedTuple):
    """What is put down to one value: net revenue in minor units, and orders in parts."""

    value: str
    revenue_minor: int
    orders: float


def attribution(
    warehouse: Warehouse, question: Attribution, rules: OrderRules, *, limits: Limits | None = None
) -> list[Credit]:
    """Return the credits, the largest first; their revenue is that of the orders, to the unit.

    A touch is any event but orders, refunds and what systems write, at or before the payment.
    Orders without one are put down to "". An order's money is cut at the rounded-down sums of the
    weights, so that the parts add up to it.
    """
    params = Params()
    field, (sums, total) = question.field, _WEIGHTS[question.model]
    kinds = (*NOT_TOUCHES, "order_paid", "order_refunded")
    touches = events_once(
        f"user_id, event_id, toUnixTimestamp64Milli(occurred_at) AS at, partition, offset, "
        f"toString({field}) AS touched",
        f"{field} != '' AND kind NOT IN {kinds}",
    )
    sql = f"""
        WITH (i, n) -> {sums} AS weight, (n) -> {total} AS whole
        SELECT value, toInt64(sum(revenue)), sum(part) FROM
        (
            SELECT arrayJoin(arrayMap((value, i) -> (
                    value,
                    intDiv(toInt128(net) * weight(i, n), whole(n))
                        - intDiv(toInt128(net) * if(i > 1, weight(i - 1, n), 0), whole(n)),
                    (weight(i, n) - if(i > 1, weight(i - 1, n), 0)) / whole(n)),
                values, arrayEnumerate(values))) AS credit,
                credit.1 AS value, credit.2 AS revenue, credit.3 AS part
            FROM
            (
                SELECT any(net) AS net,
                    arrayMap(touch -> touch.2, arraySort(groupArrayIf(
                        ((t.at, t.partition, t.offset), t.touched),
                        t.touched != '' AND t.at <= paid_at
                            AND paid_at - t.at <= {params.whole(question.lookback_ms)}))) AS found,
                    if(empty(found), [''], found) AS values,
                    toInt64(length(values)) AS n
                FROM ({orders(rules, params)}) AS o
                LEFT JOIN ({touches}) AS t ON o.user_id = t.user_id
                WHERE paid_at >= {params.whole(question.since)}
                  AND paid_at < {params.whole(question.until)}
                GROUP BY o.user_id, o.order_id
            )
        )
        GROUP BY value ORDER BY 2 DESC, value"""
    return [Credit(*row) for row in ask(warehouse, sql, params, limits)]
