"""The figures that the board is made of: one period, counted by four queries and the K factor."""

# ruff: noqa: S608 - names are of this package, values are parameters

from schemas.records import NOT_TOUCHES
from sinks.orders import OrderRules, events_once, money_events, orders
from sinks.referrals import k_factor
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse


def figures_of(
    warehouse: Warehouse,
    rules: OrderRules,
    silent_ms: int,
    since: int,
    until: int,
    cost: int | None,
    limits: Limits | None,
) -> dict[str, float | None]:
    """Return the figures by name, from ``since`` to before ``until``; None where unknown."""
    figures: dict[str, float | None] = {"cost": cost}
    for sql, params in (
        _people(since, until, silent_ms),
        _shares(since, until),
        _orders(since, until, rules),
        _revenue(since, until, rules),
    ):
        # One row: the figures by name.
        ((names, values),) = ask(warehouse, sql, params, limits)
        figures |= zip(names, values, strict=True)
    brought = k_factor(warehouse, since, until, limits=limits)
    figures |= {"existing": brought.existing, "referred": brought.by_referral}
    revenue = figures["revenue"] or 0
    figures["gain"] = None if cost is None else revenue - cost
    return figures


def _named(figures: dict[str, str]) -> str:
    values = ", ".join(f"toInt64({value})" for value in figures.values())
    return f"SELECT {list(figures)} AS names, [{values}] AS values"


def _people(since: int, until: int, silent_ms: int) -> tuple[str, Params]:
    """Return the figures that count people by what they did."""
    params = Params()
    begin, end, silent = params.whole(since), params.whole(until), params.whole(until - silent_ms)
    did = {
        "viewers": "kind = 'page_viewed'",
        "befriended": "kind = 'friend_added'",
        "sharers": "kind = 'content_shared'",
        "joiners": "kind = 'group_joined'",
        "attendees": "kind = 'activity_attended'",
        "free_trials": "kind = 'trial_started' AND amount_minor = 0",
        "paid_trials": "kind = 'trial_started' AND amount_minor > 0",
        "trials": "kind = 'trial_started'",
        "referrers": "kind = 'referral_made'",
        "active": f"kind NOT IN {NOT_TOUCHES} AND kind != 'friend_removed'",
    }
    did_sql = ", ".join(
        f"countIf(at >= {begin} AND {test}) > 0 AS {name}" for name, test in did.items()
    )
    figures = {name: f"countIf({name})" for name in did} | {
        "befriended_viewers": "countIf(befriended AND viewers)",
        "new": f"countIf(came >= {begin})",
        "base": "countIf(NOT gone)",
        "silent": f"countIf(NOT gone AND latest < {silent})",
        "lost": f"countIf(gone AND removed_at >= {begin})",
        "trial_buyers": "countIf(trials AND paid_at >= trial_at)",
    }
    touch = f"kind NOT IN {NOT_TOUCHES}"
    sql = f"""
        {_named(figures)} FROM
        (
            SELECT user_id, {did_sql},
                minIf(at, {touch}) AS came,
                maxIf(at, {touch} AND kind != 'friend_removed') AS latest,
                maxIf(at, kind = 'friend_removed') AS removed_at,
                minIf(at, kind = 'trial_started' AND at >= {begin}) AS trial_at,
                maxIf(at, kind = 'order_paid' AND amount_minor > 0) AS paid_at,
                arrayExists(relation -> relation.2.2 = 'friend_removed', friends)
                    AND NOT arrayExists(relation -> relation.2.2 = 'friend_added', friends) AS gone,
                arrayZip(mapKeys(relations), mapValues(relations)) AS friends,
                maxMapIf(map(staff, ((at, partition, offset), kind)),
                         kind IN ('friend_added', 'friend_removed')) AS relations
            FROM (SELECT *, toUnixTimestamp64Milli(occurred_at) AS at FROM touchpoints)
            WHERE at < {end}
            GROUP BY user_id
            HAVING countIf({touch}) > 0
        )"""
    return sql, params


def _shares(since: int, until: int) -> tuple[str, Params]:
    params = Params()
    at = "toUnixTimestamp64Milli(occurred_at)"
    inside = f"{at} >= {params.whole(since)} AND {at} < {params.whole(until)}"
    once = events_once("kind", f"kind = 'content_shared' AND {inside}")
    return f"{_named({'shares': 'count()'})} FROM ({once})", params


def _orders(since: int, until: int, rules: OrderRules) -> tuple[str, Params]:
    """Return the figures of the orders that count at the end of the period."""
    params = Params()
    begin = params.whole(since)
    figures = {
        "orders": "sum(own)",
        "order_net": "sum(net)",
        "buyers": "countIf(own > 0)",
        "new_buyers": f"countIf(first >= {begin})",
    }
    sql = f"""
        {_named(figures)} FROM
        (
            SELECT countIf(paid_at >= {begin}) AS own, sumIf(net, paid_at >= {begin}) AS net,
                min(paid_at) AS first
            FROM ({orders(rules, params, until=until - 1)}) AS o GROUP BY user_id
        )"""
    return sql, params


def _revenue(since: int, until: int, rules: OrderRules) -> tuple[str, Params]:
    params = Params()
    begin = params.whole(since)
    figures = {"revenue": "sum(if(kind = 'order_paid', amount_minor, -amount_minor))"}
    money = money_events(rules, params, until=until - 1)
    return f"{_named(figures)} FROM ({money}) WHERE at >= {begin}", params
