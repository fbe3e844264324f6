"""Touchpoints by a seed: the same people, orders and mishaps each time it is given."""

from collections.abc import Iterator
from random import Random

from schemas.records import Touchpoint

DAY = 86_400_000
START = 1_700_000_000_000
SPAN = 120 * DAY
LATER = START + SPAN
"""Where more may begin: the times of a log do not go back."""


def touches(
    seed: int,
    events: int,
    people: int = 400,
    *,
    hot: float = 0.0,
    start: int = START,
    span: int = SPAN,
) -> Iterator[Touchpoint]:
    """Yield touchpoints in the order of their time: orders, and what comes before them.

    Args:
        seed: Of everything that varies.
        events: How many.
        people: How many, at most, they are of.
        hot: The share of them that is of one person.
        start: The time of the first, in milliseconds.
        span: The time from the first to the last, in milliseconds.
    """
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    for number in range(events):
        user = "hot" if random.random() < hot else f"p{random.randrange(people)}"
        at = start + span * number // events
        yield touch(random, user, f"e{number}", at)


def touch(random: Random, user: str, event_id: str, at: int) -> Touchpoint:
    """Return one touchpoint of this person: an order, or something cheaper."""
    match random.choice(("order_paid", "link_scanned", "page_viewed", "friend_added")):
        case "order_paid":
            amount = random.randrange(100, 9_000)
            payload = {
                "order_id": event_id, "amount_minor": amount, "currency": "USD",
                "product": "", "quantity": 1,
            }  # fmt: skip
            return Touchpoint(event_id, user, at, "order_paid", payload)
        case "link_scanned":
            scanned, source = {"code": "q", "placement": ""}, random.choice(("shop", "street"))
            return Touchpoint(event_id, user, at, "link_scanned", scanned, source=source)
        case "friend_added":
            return Touchpoint(event_id, user, at, "friend_added", {"way": "qr"}, staff="s")
        case _:
            page = {"page": "/", "category": "", "duration_ms": 1}
            return Touchpoint(event_id, user, at, "page_viewed", page)
