"""Orders, payments and refunds: the money that RFM and the stages are made of.

An order *counts* when a payment for it was seen, its payments reach the playbook's
``min_order_minor`` and it is not refunded in full. Frequency is the number of orders that count;
the monetary value is paid less refunded over them; an order's time is that of its first payment.
Sums and minima do not depend on the order of arrival, so a refund may come before its order.

A person's orders are bounded. Beyond ``ORDERS_KEPT`` those older than the lateness bound are
*settled*, oldest first: their part in the totals stays, their detail goes. Younger ones are settled
only when there are ``ORDERS_AT_MOST``. From the first settlement on, a refund of an unknown order
is taken as one of a settled order: it reduces the monetary value exactly, but not the frequency.
"""

from processors.draft import Draft
from processors.errors import TEXT_AT_MOST, Rejected, require_short
from processors.points import Points, earn, money_points, order_points
from schemas.profile import Order, Profile
from schemas.records import Touchpoint

MAX_AMOUNT_MINOR = 10**13
"""The most of one event: a million of them still sum up within 64 bits."""
ORDERS_KEPT = 64
ORDERS_AT_MOST = 256
_LOOK_EVERY = 16  # orders: sorting at every one of them would cost more than the fold
_HARD_TARGET = 192
_UNSEEN = Order()
_NEVER = 1 << 62


def pay(draft: Draft, touchpoint: Touchpoint) -> None:
    """Add a payment to its order.

    Raises:
        Rejected: the amount or the currency cannot be counted.
    """
    order_id, amount = _money(draft, touchpoint)
    before = draft.profile.orders.get(order_id, _UNSEEN)
    paid_at = touchpoint.occurred_at
    if before.paid_at is not None and before.paid_at < paid_at:
        paid_at = before.paid_at
    _replace(draft, order_id, before, _order(draft, before.paid + amount, before.refunded, paid_at))


def refund(draft: Draft, touchpoint: Touchpoint) -> None:
    """Add a refund to its order, known or not yet known.

    Raises:
        Rejected: the amount or the currency cannot be counted.
    """
    order_id, amount = _money(draft, touchpoint)
    before = draft.profile.orders.get(order_id)
    if before is None and draft.profile.settled_orders:
        draft.profile.monetary_minor -= amount
        points = draft.playbook.points
        if points is not None:
            _earn(draft, touchpoint.occurred_at, -money_points(points, amount))
        return
    before = before or _UNSEEN
    refunded = before.refunded + amount
    _replace(draft, order_id, before, _order(draft, before.paid, refunded, before.paid_at))


def _order(draft: Draft, paid: int, refunded: int, paid_at: int | None) -> Order:
    """Return the order with its verdict: whether it counts under the playbook in force."""
    counts = (
        paid_at is not None
        and paid >= draft.playbook.min_order_minor
        and (refunded == 0 or refunded < paid)
    )
    return Order(paid, refunded, paid_at, counts)


def _money(draft: Draft, touchpoint: Touchpoint) -> tuple[str, int]:
    payload = touchpoint.payload
    order_id, amount, currency = payload["order_id"], payload["amount_minor"], payload["currency"]
    if len(order_id) > TEXT_AT_MOST:
        require_short(order_id, "an order id")
    if currency != draft.playbook.currency:
        raise Rejected(
            "currency",
            f"order {order_id!r} is in {currency!r}; the playbook {draft.playbook.name!r} counts "
            f"in {draft.playbook.currency}: convert before publishing",
        )
    if amount < 0:
        raise Rejected(
            "negative_amount",
            f"order {order_id!r} has amount_minor {amount}; publish what was paid back as a "
            "positive amount of order_refunded",
        )
    if amount > MAX_AMOUNT_MINOR:
        raise Rejected(
            "amount_too_large",
            f"order {order_id!r} has amount_minor {amount}; at most {MAX_AMOUNT_MINOR} can be "
            "counted: publish minor units of the currency, and nothing finer",
        )
    return order_id, amount


def _replace(draft: Draft, order_id: str, before: Order, after: Order) -> None:
    """Put the order into the profile, and its difference into the totals."""
    profile = draft.profile
    profile.orders = profile.orders.copy()
    profile.orders[order_id] = after
    if before.counts:
        profile.frequency -= 1
        profile.monetary_minor -= before.paid - before.refunded
    if after.counts:
        profile.frequency += 1
        profile.monetary_minor += after.paid - after.refunded
    if before.counts and before.paid_at == profile.last_paid_at:
        profile.last_paid_at = _latest(profile)
    elif after.counts:
        profile.last_paid_at = _later(profile.last_paid_at, after.paid_at)
    if draft.playbook.points is not None:
        _move_points(draft, draft.playbook.points, before, after)
    held = len(profile.orders)
    if held > ORDERS_KEPT and held % _LOOK_EVERY == 0:
        _settle(profile, draft.at - draft.playbook.lateness)


def _move_points(draft: Draft, points: Points, before: Order, after: Order) -> None:
    """Take back what the order brought before, and give what it brings now, each at its time."""
    for order, sign in ((before, -1), (after, 1)):
        if order.paid_at is not None:
            _earn(draft, order.paid_at, sign * order_points(points, order))


def _earn(draft: Draft, at: int, amount: int) -> None:
    earn(draft.profile, draft.playbook.tiers, at, amount, draft.at)


def _settle(profile: Profile, oldest_open: int) -> None:
    """Settle the oldest orders paid before ``oldest_open``; younger ones only at the hard bound."""
    by_age = sorted(profile.orders, key=lambda key: (_age_key(profile.orders[key]), key))
    held = len(by_age)
    forced = held - _HARD_TARGET if held >= ORDERS_AT_MOST else 0
    for position, order_id in enumerate(by_age[: held - ORDERS_KEPT]):
        order = profile.orders[order_id]
        if position >= forced and _age_key(order) >= oldest_open:
            break
        del profile.orders[order_id]
        if order.counts:
            profile.settled_orders += 1
            profile.settled_last_paid_at = _later(profile.settled_last_paid_at, order.paid_at)
        elif order.paid_at is None:
            profile.monetary_minor -= order.refunded


def _age_key(order: Order) -> int:
    return _NEVER if order.paid_at is None else order.paid_at


def _latest(profile: Profile) -> int | None:
    latest = profile.settled_last_paid_at
    for order in profile.orders.values():
        if order.counts:
            latest = _later(latest, order.paid_at)
    return latest


def _later(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
