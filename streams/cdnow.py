"""The CDNOW purchases as touchpoints: 69,659 orders of 23,570 customers of a real music shop.

Source: Bruce Hardie and Peter Fader, the CDNOW data set (examples/README.md).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from schemas.records import Touchpoint
from schemas.shipped import shipped

DAY = 86_400_000


class Purchase(NamedTuple):
    """One line of the file."""

    number: int
    customer: str
    day: date
    cds: int
    cents: int


def read_purchases() -> list[Purchase]:
    """Return the purchases in the order of the file, which is by customer."""
    lines = shipped("examples/cdnow_master.txt").read_text().splitlines()[1:]
    return [_parse(number, line) for number, line in enumerate(lines, 1)]


def to_touchpoints(purchases: list[Purchase], today: date) -> Iterator[Touchpoint]:
    """Yield the purchases in order of time, moved by whole days so that the last is on ``today``.

    A day has no time in the file: each purchase counts as made at midnight UTC, and those of one
    day keep the order of the file.
    """
    shift = today - max(purchase.day for purchase in purchases)
    for purchase in sorted(purchases, key=lambda each: (each.day, each.number)):
        yield Touchpoint(
            event_id=f"cdnow-{purchase.number}",
            user_id=purchase.customer,
            occurred_at=_midnight(purchase.day + shift),
            kind="order_paid",
            payload={
                "order_id": f"cdnow-{purchase.number}",
                "amount_minor": purchase.cents,
                "currency": "USD",
                "product": "cd",
                "quantity": purchase.cds,
            },
            channel="web_shop",
        )


def _parse(number: int, line: str) -> Purchase:
    customer, day, cds, dollars = line.split()
    whole, _, fraction = dollars.partition(".")
    cents = int(whole) * 100 + int(fraction.ljust(2, "0"))
    return Purchase(
        number,
        customer,
        datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(),
        int(cds),
        cents,
    )


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(milliseconds=1)
