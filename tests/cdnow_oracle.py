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


def days_by_customer() -> dict[str, list[date]]:
    """Return each customer's purchase days, in order of time."""
    days: dict[str, list[date]] = defaultdict(list)
    for customer, day, _, _ in _lines():
        days[customer].append(datetime.strptime(day, "%Y%m%d").date())  # noqa: DTZ007 - a day
    return {customer: sorted(own) for customer, own in days.items()}


def rfm_by_customer(today: date) -> dict[str, Rfm]:
    """Return the figures of each customer, the last purchase of all moved to ``today``."""
    shift = today - last_day()
    cents: dict[str, int] = defaultdict(int)
    for customer, _, _, dollars in _lines():
        cents[customer] += round(float(dollars) * 100)
    return {
        customer: Rfm(len(own), cents[customer], own[-1] + shift)
        for customer, own in days_by_customer().items()
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


def _lines() -> list[list[str]]:
    return [line.split() for line in FILE.read_text().splitlines()[1:]]
