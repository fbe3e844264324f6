"""What an SOP brings: people it reached out to against people who were held out, at random."""

# ruff: noqa: S608 - names are of this package, values are parameters

from math import sqrt
from typing import NamedTuple

from sinks.condition import Condition
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

_CONFIDENCE = 1.959964  # standard errors on either side: 95 %


class Arm(NamedTuple):
    """People of one arm, and those of them who converted."""

    people: int
    converted: int

    @property
    def rate(self) -> float:
        """The share who converted; of nobody it is 0."""
        return self.converted / self.people if self.people else 0.0


class Effect(NamedTuple):
    """The difference that the SOP makes.

    Attributes:
        treated: Who came to a step that acts, and were not held out.
        held_out: Who came to such a step, and got nothing.
        lift: Rate of the treated less that of the held-out: 0.02 is two in a hundred.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    treated: Arm
    held_out: Arm
    lift: float
    low: float
    high: float


def sop_effect(
    warehouse: Warehouse,
    sop: str,
    goal: Condition,
    window_ms: int,
    *,
    since: int = 0,
    until: int = 2**62,
    limits: Limits | None = None,
) -> Effect:
    """Compare both arms of an SOP by who met ``goal`` within the window, inclusive.

    By intention to treat: a person belongs to an arm from their first step of the SOP that asks for
    an action (its fact says requested, deferred or suppressed) in the period, whether or not
    another rule then held the action back: the draw is made before those rules, so only then are
    the arms alike. The goal counts from that instant on. Who is in both (the holdout changed) is in
    neither.

    The interval is Newcombe's for a difference of proportions (Statistics in Medicine 17, 1998,
    method 10, from Wilson's score intervals): it is sound for small arms and for rates near 0.
    """
    params = Params()
    at = "toUnixTimestamp64Milli(at)"
    sql = f"""
        SELECT arm, count(), countIf(converted) FROM
        (
            SELECT any(a.arm) AS arm,
                max(g.at >= a.began AND g.at - a.began <= {params.whole(window_ms)}
                    AND g.user_id != '') AS converted
            FROM
            (
                SELECT user_id, min({at}) AS began, max(new = 'holdout') AS arm
                FROM facts
                WHERE kind IN ('action_requested', 'action_deferred', 'action_suppressed')
                  AND startsWith(subject, {params.text(sop + "/")})
                  AND {at} >= {params.whole(since)} AND {at} < {params.whole(until)}
                GROUP BY user_id HAVING min(new = 'holdout') = max(new = 'holdout')
            ) AS a
            LEFT JOIN
            (
                SELECT user_id, toUnixTimestamp64Milli(occurred_at) AS at FROM touchpoints
                WHERE {goal.sql(params)}
            ) AS g ON a.user_id = g.user_id
            GROUP BY a.user_id
        )
        GROUP BY arm"""
    arms = {bool(arm): Arm(*counts) for arm, *counts in ask(warehouse, sql, params, limits)}
    treated, held_out = arms.get(False, Arm(0, 0)), arms.get(True, Arm(0, 0))
    return Effect(treated, held_out, *difference(treated, held_out))


def difference(one: Arm, other: Arm) -> tuple[float, float, float]:
    """Return the difference of two rates with its 95 % interval: of an empty arm, -1 to 1."""
    lift = one.rate - other.rate
    if not one.people or not other.people:
        return lift, -1.0, 1.0
    (low_1, high_1), (low_2, high_2) = wilson(one), wilson(other)
    down = sqrt((one.rate - low_1) ** 2 + (high_2 - other.rate) ** 2)
    up = sqrt((high_1 - one.rate) ** 2 + (other.rate - low_2) ** 2)
    return lift, lift - down, lift + up


def wilson(arm: Arm) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate (J. American Statistical Association 22, 1927)."""
    n, z = arm.people, _CONFIDENCE
    centre = (arm.rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(arm.rate * (1 - arm.rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half
