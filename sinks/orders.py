"""The SQL of events and orders, each once: what money, RFM and attribution are made of."""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass

from sinks.sql import Params

MAX_AMOUNT_MINOR = 10**13
"""The fold refuses more in one event."""


@dataclass(frozen=True)
class OrderRules:
    """Which orders count, as the playbook says it.

    Attributes:
        currency: ISO 4217; others are left out.
        min_order_minor: The least that an order's payments must reach.
    """

    currency: str
    min_order_minor: int = 1


def events_once(columns: str, where: str) -> str:
    """Return the SQL of touchpoints; of a person's repeats of an event id the first in the log."""
    return f"""
        SELECT {columns} FROM touchpoints WHERE {where}
        ORDER BY partition, offset LIMIT 1 BY user_id, event_id"""


def money_events(rules: OrderRules, params: Params, *, until: int | None = None) -> str:
    """Return the SQL of the payments and refunds that can be counted.

    Args:
        rules: Which.
        params: Takes the values.
        until: Milliseconds; those after it are left out.
    """
    where = (
        f"kind IN ('order_paid', 'order_refunded') AND currency = {params.text(rules.currency)} "
        f"AND amount_minor BETWEEN 0 AND {MAX_AMOUNT_MINOR}"
    )
    if until is not None:
        where += f" AND toUnixTimestamp64Milli(occurred_at) <= {params.whole(until)}"
    columns = (
        "user_id, event_id, order_id, kind, amount_minor, payload, "
        "toUnixTimestamp64Milli(occurred_at) AS at"
    )
    return events_once(columns, where)


def orders(rules: OrderRules, params: Params, *, until: int | None = None) -> str:
    """Return the SQL of the orders that count: ``user_id, order_id, paid_at, net``.

    Each order is the sum of its payments and refunds; its time is that of the first payment. It
    counts if it was paid, its payments reach the least, and it is not refunded in full.
    """
    return f"""
        SELECT user_id, order_id,
            minIf(at, kind = 'order_paid') AS paid_at,
            sumIf(amount_minor, kind = 'order_paid') AS paid,
            sumIf(amount_minor, kind = 'order_refunded') AS refunded,
            paid - refunded AS net
        FROM ({money_events(rules, params, until=until)})
        GROUP BY user_id, order_id
        HAVING countIf(kind = 'order_paid') > 0 AND paid >= {params.whole(rules.min_order_minor)}
           AND (refunded = 0 OR refunded < paid)"""
