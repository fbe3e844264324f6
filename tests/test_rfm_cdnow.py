"""RFM and the reminder on the CDNOW purchases, against a plain computation over the file."""

import pytest
from cdnow_oracle import purchases_by_customer
from playbook_yaml import SHIPPED
from strategies import DAY

from processors.partition import Partition
from schemas.records import Action, Touchpoint
from schemas.segments import SEGMENTS

Purchases = dict[str, list[tuple[int, int]]]


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    """Return the date (as milliseconds) and cents of every purchase, by customer."""
    return purchases_by_customer()


@pytest.fixture(scope="module")
def end(purchases: Purchases) -> int:
    """Return the date of the last purchase."""
    return max(at for bought in purchases.values() for at, _ in bought)


@pytest.fixture(scope="module")
def folded(purchases: Purchases, end: int) -> tuple[Partition, list[Action]]:
    """Return the partition after all purchases by date, and the actions it requested."""
    log = [
        (at, f"{customer}-{number}", customer, amount)
        for customer, bought in purchases.items()
        for number, (at, amount) in enumerate(bought)
    ]
    partition = Partition(SHIPPED, {})
    effects = partition.apply(
        (
            Touchpoint(
                name,
                customer,
                at,
                "order_paid",
                {"order_id": name, "amount_minor": amount, "currency": "USD"},
            ),
            at,
        )
        for at, name, customer, amount in sorted(log)
    )
    return partition, effects.actions + partition.advance(end).actions


def test_every_customer_is_exact(
    purchases: Purchases, folded: tuple[Partition, list[Action]]
) -> None:
    """Frequency, money to the cent and last purchase of all 23,570 customers are the file's."""
    partition, _ = folded
    assert len(partition.profiles) == len(purchases) == 23_570
    assert partition.counts.applied == 69_659
    for customer, bought in purchases.items():
        profile = partition.profiles[customer]
        assert profile.frequency == len(bought)
        assert profile.monetary_minor == sum(amount for _, amount in bought)
        assert profile.last_paid_at == max(at for at, _ in bought)


def test_segments_are_those_of_the_definitions(
    purchases: Purchases, folded: tuple[Partition, list[Action]], end: int
) -> None:
    """Every customer is in the segment of the three cuts, and the demonstration has all eight."""
    partition, _ = folded
    found = set()
    for customer, bought in purchases.items():
        letters = (
            ("H" if end - max(at for at, _ in bought) <= 90 * DAY else "L")
            + ("H" if len(bought) >= 3 else "L")
            + ("H" if sum(amount for _, amount in bought) >= 5000 else "L")
        )
        found.add(letters)
        assert partition.profiles[customer].segment == SEGMENTS[letters].name
    assert found == SEGMENTS.keys()


def test_reminders_go_to_those_who_did_not_come_back(
    purchases: Purchases, folded: tuple[Partition, list[Action]], end: int
) -> None:
    """A reminder for each customer without a second purchase before day 30 of the first."""
    want = set()
    for customer, bought in purchases.items():
        times = sorted(at for at, _ in bought)
        due = times[0] + 30 * DAY
        if due <= end and not any(at < due for at in times[1:]):
            want.add((customer, due))
    _, actions = folded
    assert {(action.user_id, action.due_at) for action in actions} == want
    assert len(actions) == len(want)
