"""Ann's events, and what comes of them: the person whom the tests of the fold are about."""

from typing import Any

from playbook_yaml import SHIPPED

from processors.draft import Outcome
from processors.partition import Effects, Partition
from schemas.profile import Profile
from schemas.records import Touchpoint


def event(
    name: str, kind: str, at: int, /, *, backfill: bool = False, staff: str = "", **payload: Any
) -> Touchpoint:
    """Return ann's event of this kind."""
    return Touchpoint(name, "ann", at, kind, payload, backfill=backfill, staff=staff)


def paid(
    order: str, at: int, amount: int = 1000, *, currency: str = "USD", backfill: bool = False
) -> Touchpoint:
    """Return the payment of an order."""
    money = {"order_id": order, "amount_minor": amount, "currency": currency}
    return event(f"paid-{order}", "order_paid", at, backfill=backfill, **money)


def refunded(order: str, at: int, amount: int = 1000) -> Touchpoint:
    """Return a refund of an order."""
    money = {"order_id": order, "amount_minor": amount, "currency": "USD"}
    return event(f"refunded-{order}-{at}", "order_refunded", at, **money)


def after(*events: Touchpoint, playbook: Any = SHIPPED) -> Profile:
    """Return ann's profile after events that arrive as they occur."""
    partition = Partition(playbook, {})
    partition.apply((each, each.occurred_at) for each in events)
    return partition.profiles["ann"]


def told(effects: Effects | Outcome) -> list[tuple[str, str, str]]:
    """Return kind, subject and new value of each fact."""
    return [(fact.kind, fact.subject, fact.new) for fact in effects.facts]
