"""The job: orders, total, last seen and stage of each person; an action on each fifth order.

The Python peers share this step and Touchline's codec, so that only the machinery differs; the
Java peer has its own text of both. The oracle below does not use the step.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

from schemas.records import Action, Touchpoint

EVERY = 5
LOYAL = 5

State = tuple[int, int, int, str]
"""Orders, their total in minor units, the last time seen, the stage."""

NOBODY: State = (0, 0, 0, "lead")


class Asked(NamedTuple):
    """What an action must say; two actions that agree in it are the same."""

    action_id: str
    user_id: str
    orders: str
    total: str
    cause_id: str


def step(state: State | None, touchpoint: Touchpoint) -> tuple[State, Action | None]:
    """Return the person's next state, and the action that this touch asks for."""
    orders, total, last_seen, stage = state or NOBODY
    last_seen = max(last_seen, touchpoint.occurred_at)
    if touchpoint.kind != "order_paid":
        return (orders, total, last_seen, stage), None
    orders += 1
    total += touchpoint.payload["amount_minor"]
    stage = "new" if orders == 1 else "repeat" if orders < LOYAL else "loyal"
    after = (orders, total, last_seen, stage)
    return after, None if orders % EVERY else _ask(touchpoint, after)


def _ask(touchpoint: Touchpoint, state: State) -> Action:
    orders, total, last_seen, stage = state
    return Action(
        action_id=f"{touchpoint.user_id}-{orders}",
        user_id=touchpoint.user_id,
        family="message",
        template="fifth_order",
        sender_role="",
        params={"orders": str(orders), "total": str(total), "stage": stage},
        due_at=last_seen,
        playbook="peers",
        playbook_version=1,
        sop="fifth-order",
        sop_version=1,
        entry_key=touchpoint.event_id,
        step="1",
        cause_kind="event",
        cause_id=touchpoint.event_id,
    )


def invent(
    events: int, people: int, start: int, rate: float, currency: str = "USD"
) -> Iterator[Touchpoint]:
    """Yield touchpoints of random people: nine in ten are paid orders, the others page views.

    Args:
        events: How many.
        people: Over how many people they are spread, evenly.
        start: The time of the first, in milliseconds.
        rate: How many there are in a second.
        currency: The one that orders are paid in; a playbook counts in one only.
    """
    random = Random(1)  # noqa: S311 - load, not a secret
    for number in range(events):
        kind, payload = "page_viewed", {"page": "/new", "category": "cd", "duration_ms": 3200}
        if random.random() < 0.9:  # noqa: PLR2004 - nine in ten
            kind = "order_paid"
            payload = {
                "order_id": f"o-{number}",
                "amount_minor": random.randrange(100, 20_000),
                "currency": currency,
                "product": "cd",
                "quantity": 1,
            }
        yield Touchpoint(
            event_id=f"e-{number:08}",
            user_id=f"u-{random.randrange(people):07}",
            occurred_at=start + int(number * 1000 / rate),
            kind=kind,
            payload=payload,
            channel="shop",
            source="douyin",
        )


def expect(touchpoints: Iterable[Touchpoint]) -> set[Asked]:
    """Return the actions that a log must lead to: the oracle, by lists instead of steps."""
    orders: dict[str, list[Touchpoint]] = {}
    for touchpoint in touchpoints:
        if touchpoint.kind == "order_paid":
            orders.setdefault(touchpoint.user_id, []).append(touchpoint)
    asked = set()
    for user_id, paid in orders.items():
        totals = list(accumulate(order.payload["amount_minor"] for order in paid))
        for place in range(EVERY, len(paid) + 1, EVERY):
            cause = paid[place - 1].event_id
            asked.add(
                Asked(f"{user_id}-{place}", user_id, str(place), str(totals[place - 1]), cause)
            )
    return asked


def told(action: Action) -> Asked:
    """Return what an action says, to compare with the oracle."""
    return Asked(
        action.action_id,
        action.user_id,
        action.params["orders"],
        action.params["total"],
        action.cause_id,
    )
