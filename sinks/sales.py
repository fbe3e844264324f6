"""What was sold and what was paid back, part by part."""

# ruff: noqa: S608 - names are of this package, values are parameters

from typing import NamedTuple

from sinks.orders import OrderRules, money_events
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse


class Part(NamedTuple):
    """Buyers, orders and money of one product, or of one reason of refunds."""

    name: str
    people: int
    orders: int
    amount_minor: int


def by_product(
    warehouse: Warehouse, rules: OrderRules, since: int, until: int, *, limits: Limits | None = None
) -> list[Part]:
    """Return what was paid for each product in the period, the largest first."""
    return _parts(warehouse, rules, "order_paid", "product", since, until, limits)


def by_refund_reason(
    warehouse: Warehouse, rules: OrderRules, since: int, until: int, *, limits: Limits | None = None
) -> list[Part]:
    """Return what was paid back for each reason in the period, the largest first."""
    return _parts(warehouse, rules, "order_refunded", "reason", since, until, limits)


def _parts(
    warehouse: Warehouse,
    rules: OrderRules,
    kind: str,
    field: str,
    since: int,
    until: int,
    limits: Limits | None,
) -> list[Part]:
    params = Params()
    money = money_events(rules, params, until=until - 1)
    sql = f"""
        SELECT JSONExtractString(payload, {params.text(field)}) AS name,
            uniqExact(user_id), uniqExact(user_id, order_id), sum(amount_minor) AS amount
        FROM ({money}) WHERE kind = {params.text(kind)} AND at >= {params.whole(since)}
        GROUP BY name ORDER BY amount DESC, name"""
    return [Part(*row) for row in ask(warehouse, sql, params, limits)]
