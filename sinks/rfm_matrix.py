"""The RFM matrix at a date, and who moved between two dates."""

# ruff: noqa: S608 - names are of this package, values are parameters

from dataclasses import dataclass
from typing import NamedTuple

from sinks.orders import OrderRules, orders
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse


@dataclass(frozen=True)
class RfmCuts:
    """The least that scores H; R is H while the last order is at most ``recency_ms`` old."""

    recency_ms: int
    frequency: int
    monetary_minor: int


class RfmCell(NamedTuple):
    """The people of one of the eight segments, their orders and net revenue in minor units."""

    people: int
    orders: int
    revenue_minor: int


def rfm_matrix(
    warehouse: Warehouse,
    cuts: RfmCuts,
    rules: OrderRules,
    at: int,
    *,
    limits: Limits | None = None,
) -> dict[str, RfmCell]:
    """Return the segments at an instant by their letters for R, F and M, such as ``HLH``.

    Only what occurred up to ``at`` (milliseconds) counts, as if the clock stood there. People
    without an order that counts are in none.
    """
    params = Params()
    sql = f"""
        SELECT letters, count(), sum(frequency), sum(monetary)
        FROM ({_people(cuts, rules, at, params)}) GROUP BY letters ORDER BY letters"""
    return {letters: RfmCell(*cell) for letters, *cell in ask(warehouse, sql, params, limits)}


def rfm_movement(
    warehouse: Warehouse,
    cuts: RfmCuts,
    rules: OrderRules,
    earlier: int,
    later: int,
    *,
    limits: Limits | None = None,
) -> dict[tuple[str, str], int]:
    """Return how many people were in one segment at ``earlier`` and in one at ``later``.

    Letters are empty where a person had no order that counts. Who had none at both is left out.
    """
    params = Params()
    sql = f"""
        SELECT before, after, count() FROM
        (
            SELECT anyIf(letters, date = 1) AS before, anyIf(letters, date = 2) AS after
            FROM
            (
                SELECT user_id, letters, 1 AS date FROM ({_people(cuts, rules, earlier, params)})
                UNION ALL
                SELECT user_id, letters, 2 AS date FROM ({_people(cuts, rules, later, params)})
            )
            GROUP BY user_id
        )
        GROUP BY before, after ORDER BY before, after"""
    return {(before, after): n for before, after, n in ask(warehouse, sql, params, limits)}


def _people(cuts: RfmCuts, rules: OrderRules, at: int, params: Params) -> str:
    recent = f"{params.whole(at)} - max(paid_at) <= {params.whole(cuts.recency_ms)}"
    often = f"frequency >= {params.whole(cuts.frequency)}"
    much = f"monetary >= {params.whole(cuts.monetary_minor)}"
    scores = ", ".join(f"if({test}, 'H', 'L')" for test in (recent, often, much))
    return f"""
        SELECT user_id, count() AS frequency, sum(net) AS monetary, concat({scores}) AS letters
        FROM ({orders(rules, params, until=at)}) GROUP BY user_id"""
