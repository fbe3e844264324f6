"""Points for behaviour and money, and the tiers that they give.

Points are the sum of what each event and each order that counts brings; a refund takes the points
of its money back, at the time of the order. Hence they do not depend on the order of arrival.

Tiers that look ``within`` a time count in whole buckets (``processors.windows.grain_of``): at a
bucket, the points of that one and of the ``reach`` before it count. The tier is the highest that
was reached in the present bucket or in the ``grace`` before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.checks import Matches, compile_where
from processors.windows import EVER, add, grain_of
from schemas.playbook.points import PointsSpec, TiersSpec
from schemas.profile import Order, Profile

MONEY_POINTS_AT_MOST = 10**13
"""The most that the money of one order brings: a hundred thousand times that fits into 64 bits."""
TIER = "tier"
"""The machine that holds the tier."""


@dataclass(frozen=True, slots=True)
class Points:
    """What earns points: ``each`` order, its money, and events by kind."""

    each: int
    every_minor: int
    per_unit: int
    events: Mapping[str, tuple[tuple[Matches | None, int], ...]]


@dataclass(frozen=True, slots=True)
class Tiers:
    """Tiers from the highest down; ``reach`` and ``grace`` are numbers of buckets."""

    levels: tuple[tuple[int, str], ...]
    grain: int
    reach: int
    grace: int


def compile_points(spec: PointsSpec) -> Points:
    """Turn checked points into those that the fold counts."""
    events: dict[str, tuple[tuple[Matches | None, int], ...]] = {}
    for rule in spec.events:
        for kind in rule.event:
            events[kind] = (*events.get(kind, ()), (compile_where(rule.where), rule.points))
    orders = spec.orders
    if orders is None:
        return Points(0, 0, 0, events)
    return Points(orders.each, orders.every_minor or 0, orders.points, events)


def compile_tiers(spec: TiersSpec) -> Tiers:
    """Turn checked tiers into those that the fold gives."""
    levels = tuple((level.from_, level.name) for level in reversed(spec.levels))
    if spec.within is None:
        return Tiers(levels, EVER, 0, 0)
    grain = grain_of(spec.within)
    return Tiers(levels, grain, -(-spec.within // grain), -(-spec.keep_for // grain))


def money_points(points: Points, net_minor: int) -> int:
    """Return the points for an amount paid."""
    if not points.every_minor:
        return 0
    return min(net_minor // points.every_minor * points.per_unit, MONEY_POINTS_AT_MOST)


def order_points(points: Points, order: Order) -> int:
    """Return the points for an order as it stands."""
    return points.each + money_points(points, order.paid - order.refunded) if order.counts else 0


def earn(profile: Profile, tiers: Tiers | None, at: int, amount: int, now: int) -> None:
    """Add points, or take them back, at the time at which they were earned."""
    if not amount:
        return
    profile.points += amount
    if tiers is not None and tiers.grain != EVER:
        span = (tiers.reach + tiers.grace) * tiers.grain
        profile.earned = add(profile.earned, at, amount, span, tiers.grain, now)


def counted_points(profile: Profile, tiers: Tiers, now: int) -> int:
    """Return the points by which the tier goes: the most within reach, now or in the grace."""
    if tiers.grain == EVER:
        return profile.points
    last = now // tiers.grain
    first = last - tiers.grace
    # Within the grace, the sum can only have peaked where points were earned or where it begins.
    places = {first, last, *(bucket for bucket in profile.earned if first < bucket < last)}
    return max(_within_reach(profile.earned, tiers, place, last) for place in places)


def tier_turns(profile: Profile, tiers: Tiers, now: int) -> int | None:
    """Return the first instant after now at which points go out of reach or a grace ends."""
    if tiers.grain == EVER:
        return None
    last = now // tiers.grain
    ends = [bucket + tiers.reach + 1 for bucket in profile.earned]
    ends += [end + tiers.grace for end in ends]
    return min((end * tiers.grain for end in ends if end > last), default=None)


def tier_at(tiers: Tiers, points: int) -> str:
    """Return the tier for these points."""
    return next((name for start, name in tiers.levels if points >= start), tiers.levels[-1][1])


def _within_reach(earned: Mapping[int, int], tiers: Tiers, place: int, last: int) -> int:
    # What is dated ahead of the stream clock counts from now on.
    return sum(
        points
        for bucket, points in earned.items()
        if place - tiers.reach <= bucket and (bucket <= place or place == last)
    )
