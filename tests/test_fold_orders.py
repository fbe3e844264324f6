"""What orders and refunds do to a profile, in whatever order they come."""

from dataclasses import replace

import pytest
from ann import after, paid, refunded
from msgspec import structs
from playbook_yaml import SHIPPED
from strategies import DAY, HOUR, START

from processors.fold import fold
from processors.orders import ORDERS_AT_MOST, ORDERS_KEPT
from processors.partition import Partition
from schemas.records import Touchpoint


def test_a_refund_may_come_before_its_order() -> None:
    """A full refund in advance undoes the order, a partial one lessens it."""
    undone = after(refunded("a", START), paid("a", START + 1))
    assert (undone.frequency, undone.monetary_minor, undone.last_paid_at) == (0, 0, None)
    less = after(refunded("a", START, 400), paid("a", START + 1))
    assert (less.frequency, less.monetary_minor, less.last_paid_at) == (1, 600, START + 1)


def test_the_time_of_an_order_is_that_of_its_first_payment() -> None:
    """Whichever of two payments arrives first."""
    first, second = paid("a", START), structs.replace(paid("a", START + 5), event_id="second")
    for payments in ((first, second), (second, first)):
        partition = Partition(SHIPPED, {})
        partition.apply((each, START + 9) for each in payments)
        ann = partition.profiles["ann"]
        assert (ann.frequency, ann.monetary_minor, ann.last_paid_at) == (1, 2000, START)


def test_a_refund_of_the_last_order_brings_the_one_before_back() -> None:
    """Recency follows the latest order that still counts."""
    profile = after(paid("a", START), paid("b", START + 5), refunded("b", START + 6))
    assert (profile.frequency, profile.last_paid_at) == (1, START)


def test_an_order_below_the_least_does_not_count() -> None:
    """Free orders count where the playbook says that zero is enough."""
    assert after(paid("a", START, 0)).frequency == 1
    assert after(paid("a", START, 0), playbook=replace(SHIPPED, min_order_minor=1)).frequency == 0


def test_a_changed_rule_reaches_an_order_at_its_next_event() -> None:
    """The totals stay sums of what counts in them when the playbook changes under way."""
    strict = replace(SHIPPED, min_order_minor=1)
    profile = after(paid("a", START, 0), paid("b", START, 500), playbook=strict)
    assert (profile.frequency, profile.monetary_minor) == (1, 500)
    again = structs.replace(paid("b", START + 1, 500), event_id="again")
    profile = fold(profile, again, START + 1, SHIPPED).profile
    assert (profile.frequency, profile.monetary_minor) == (1, 1000)
    gift = structs.replace(paid("a", START + 2, 0), event_id="gift")
    profile = fold(profile, gift, START + 2, SHIPPED).profile
    assert (profile.frequency, profile.monetary_minor) == (2, 1000)


@pytest.mark.parametrize("gap", [DAY, HOUR // 60])
def test_many_orders_are_settled_and_stay_exact(gap: int) -> None:
    """Spread over years or in a burst, orders are bounded and the totals are those of them all."""
    times = [START + number * gap for number in range(1000)]
    profile = after(*[paid(f"o{n}", at, 100 + n) for n, at in enumerate(times)])
    assert profile.frequency == 1000
    assert profile.monetary_minor == sum(100 + number for number in range(1000))
    assert profile.last_paid_at == times[-1]
    assert len(profile.orders) < (ORDERS_KEPT + 16 if gap == DAY else ORDERS_AT_MOST)


def test_a_refund_of_a_settled_order_reduces_the_money_alone() -> None:
    """The detail of a settled order is gone: its refund cannot take back the order itself."""
    orders = [paid(f"o{n}", START + n * DAY) for n in range(200)]
    profile = after(*orders, refunded("o0", START + 200 * DAY, 1000))
    assert (profile.frequency, profile.monetary_minor) == (200, 199_000)


def test_an_order_that_an_event_in_time_may_still_change_is_not_settled() -> None:
    """Of the oldest those beyond the lateness go; the one that is just as old stays."""
    ages = [7 * DAY + 1] * 15 + [7 * DAY] + [0] * 64
    orders = after(*[paid(f"o{n}", START + 7 * DAY - age) for n, age in enumerate(ages)]).orders
    assert sorted(orders) == sorted(f"o{n}" for n in range(15, 80))


def test_refunds_whose_orders_never_come_are_bounded_and_stay_exact() -> None:
    """Those that are settled have reduced the money; an order that comes after all adds its own."""
    refunds = [refunded(f"o{n}", START + n, 10) for n in range(ORDERS_AT_MOST)]
    profile = after(*refunds)
    settled = ORDERS_AT_MOST - len(profile.orders)
    assert settled > 0
    assert (profile.frequency, profile.monetary_minor) == (0, -10 * settled)
    forgotten = next(n for n in range(ORDERS_AT_MOST) if f"o{n}" not in profile.orders)
    paid_after = after(*refunds, paid(f"o{forgotten}", START + ORDERS_AT_MOST, 1000))
    assert (paid_after.frequency, paid_after.monetary_minor) == (1, 1000 - 10 * settled)


@pytest.mark.parametrize(
    ("touchpoint", "reason"),
    [
        (paid("a", START, currency="EUR"), "currency"),
        (paid("a", START, -1), "negative_amount"),
        (refunded("a", START, -1), "negative_amount"),
        (paid("a", START, 2**62), "amount_too_large"),
        (paid("a" * 257, START), "text_too_long"),
    ],
)
def test_money_that_cannot_be_counted_is_rejected(touchpoint: Touchpoint, reason: str) -> None:
    """A rejected event leaves no trace but its reason; the events around it are applied."""
    partition = Partition(SHIPPED, {})
    around = [paid("x", START), touchpoint, paid("y", START)]
    effects = partition.apply((each, START) for each in around)
    assert [(index, code) for index, code, _ in effects.rejected] == [(1, reason)]
    assert partition.profiles["ann"] == after(around[0], around[2])


def test_a_stranger_whose_only_event_is_rejected_has_no_profile() -> None:
    """A dead letter creates nobody."""
    partition = Partition(SHIPPED, {})
    effects = partition.apply([(paid("a", START, -1), START)])
    assert (partition.profiles, effects.changed, effects.facts) == ({}, {}, [])
