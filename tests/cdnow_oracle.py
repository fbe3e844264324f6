"""What the CDNOW file says, by plain Python over its text: the oracle of the figures."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).resolve().parents[1] / "examples" / "cdnow_master.txt"


class Rfm(NamedTuple):
    """A customer's number of purchases, money spent in cents, and day of the last purchase."""

    frequency: int
    cents: int
    last: date


def orders_by_customer() -> dict[str, list[tuple[date, int]]]:
    """Return the day and cents of each customer's purchases, in order of time."""
    orders: dict[str, list[tuple[date, int]]] = defaultdict(list)
    for customer, spelled, _, dollars in _lines():
        day = datetime.strptime(spelled, "%Y%m%d").date()  # noqa: DTZ007 - a day
        orders[customer].append((day, round(float(dollars) * 100)))
    return {customer: sorted(own) for customer, own in orders.items()}


def purchases_by_customer() -> dict[str, list[tuple[int, int]]]:
    """Return the time (midnight UTC in milliseconds) and cents of each customer's purchases."""
    return {
        customer: [(_midnight(day), cents) for day, cents in own]
        for customer, own in orders_by_customer().items()
    }


def days_by_customer() -> dict[str, list[date]]:
    """Return each customer's purchase days, in order of time."""
    return {customer: [day for day, _ in own] for customer, own in orders_by_customer().items()}


def rfm_by_customer(today: date) -> dict[str, Rfm]:
    """Return the figures of each customer, the last purchase of all moved to ``today``."""
    shift = today - last_day()
    return {
        customer: Rfm(len(own), sum(cents for _, cents in own), own[-1][0] + shift)
        for customer, own in orders_by_customer().items()
    }


def funnel_counts(steps: int, within: timedelta) -> list[int]:
    """Return how many customers made so many purchases within the window of their first."""
    everybody = days_by_customer().values()
    return [
        sum(1 for days in everybody if len(days) > step and days[step] - days[0] <= within)
        for step in range(steps)
    ]


def reminded(after: timedelta) -> set[str]:
    """Return the customers without a second purchase before so long after their first.

    At the very instant the reminder goes first; those of the last days are not due yet.
    """
    end = last_day()
    return {
        customer
        for customer, days in days_by_customer().items()
        if days[0] + after <= end and (len(days) == 1 or days[1] >= days[0] + after)
    }


def last_day() -> date:
    """Return the day of the last purchase of all."""
    return max(own[-1] for own in days_by_customer().values())


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(milliseconds=1)


def _lines() -> list[list[str]]:
    return [line.split() for line in FILE.read_text().splitlines()[1:]]
