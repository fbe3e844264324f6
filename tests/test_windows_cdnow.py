"""Sliding windows on the CDNOW purchases at ten dates, against a recount of the whole file."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple

from cdnow_oracle import orders_by_customer
from rule_playbook import compiled

from processors.partition import Partition
from schemas.records import Touchpoint

WINDOWS = compiled("""\
name: windows
version: 1
currency: USD
rfm: {recency_days: 90, frequency: 3, monetary_minor: 5000}
tags:
  - name: regular
    when: {count: {event: order_paid, within: 30d, at_least: 2}}
  - name: one-off
    when: {count: {event: order_paid, within: 90d, at_least: 1, at_most: 1}}
  - name: buys-big
    when:
      count:
        event: order_paid
        where: {amount_minor: {at_least: 3000}}
        within: 180d
        at_least: 2
  - name: lapsed
    when: {not_done: {event: order_paid, for: 60d}}
  - name: spends
    when: {sum: {event: order_paid, field: amount_minor, within: 90d, at_least: 5000}}
  - name: spends-little
    when: {sum: {event: order_paid, field: amount_minor, within: 60d, at_least: 1, at_most: 2000}}
  - name: spends-in-a-year
    when: {sum: {event: order_paid, field: amount_minor, within: 365d, at_least: 10000}}
""")


class Bought(NamedTuple):
    """What one customer had bought by an instant, from the raw file."""

    orders: list[tuple[date, int]]
    now: datetime

    def within(self, days: int) -> list[int]:
        """Return the cents of each order that is no longer ago than so many days."""
        span = timedelta(days)
        return [cents for day, cents in self.orders if self.now - midnight(day) <= span]

    def in_days(self, days: int) -> int:
        """Return the cents of the days that reach into the window."""
        first = (self.now - timedelta(days)).date()
        return sum(cents for day, cents in self.orders if day >= first)

    def in_weeks(self, days: int) -> int:
        """Return the cents of the weeks, counted from 1970 on, that reach into the window."""
        epoch = date(1970, 1, 1)
        first = ((self.now - timedelta(days)).date() - epoch) // timedelta(7)
        return sum(cents for day, cents in self.orders if (day - epoch) // timedelta(7) >= first)

    def pause(self) -> timedelta:
        """Return how long ago the last order was."""
        return self.now - midnight(self.orders[-1][0])


TAGS: dict[str, Callable[[Bought], bool]] = {
    "regular": lambda bought: len(bought.within(30)) >= 2,
    "one-off": lambda bought: len(bought.within(90)) == 1,
    "buys-big": lambda bought: sum(cents >= 3000 for cents in bought.within(180)) >= 2,
    "lapsed": lambda bought: bought.pause() > timedelta(60),
    "spends": lambda bought: bought.in_days(90) >= 5000,
    "spends-little": lambda bought: 1 <= bought.in_days(60) <= 2000,
    "spends-in-a-year": lambda bought: bought.in_weeks(365) >= 10_000,
}


@cache
def midnight(day: date) -> datetime:
    """Return the instant at which all orders of a day were paid."""
    return datetime.combine(day, time(), UTC)


def ten_dates(first: date, last: date) -> list[datetime]:
    """Return ten dates up to 100 days after the last order: in turn at midnight and just after.

    At midnight the orders of whole days ago are at the very limit of their windows, and a
    millisecond later past it.
    """
    days = (last - first).days + 100
    return [
        midnight(first + timedelta(days * step // 10)) + timedelta(milliseconds=step % 2)
        for step in range(1, 11)
    ]


def test_tags_of_windows_are_those_of_a_recount_at_ten_dates() -> None:
    """At each date every customer has the tags that the raw orders up to then give, no other."""
    everybody = orders_by_customer()
    log = sorted(
        (day, customer, number, cents)
        for customer, orders in everybody.items()
        for number, (day, cents) in enumerate(orders)
    )
    partition = Partition(WINDOWS, {})
    done = 0
    had: set[tuple[str, bool]] = set()
    for now in ten_dates(log[0][0], log[-1][0]):
        upto = sum(midnight(day) <= now for day, *_ in log)
        partition.apply(paid(*order) for order in log[done:upto])
        partition.advance(milliseconds(now))
        done = upto
        known = {
            customer: Bought(orders, now)
            for customer, all_orders in everybody.items()
            if (orders := [each for each in all_orders if midnight(each[0]) <= now])
        }
        assert partition.profiles.keys() == known.keys()
        for customer, bought in known.items():
            want = {name for name, holds in TAGS.items() if holds(bought)}
            assert partition.profiles[customer].tags.keys() == want, (customer, now)
            had |= {(name, name in want) for name in TAGS}
    assert (done, len(known)) == (69_659, 23_570)
    assert len(had) == 2 * len(TAGS), "each tag should be there, and not be there"


def paid(day: date, customer: str, number: int, cents: int) -> tuple[Touchpoint, int]:
    """Return an order as a record of the log."""
    name, at = f"{customer}-{number}", milliseconds(midnight(day))
    payload = {"order_id": name, "amount_minor": cents, "currency": "USD"}
    return Touchpoint(name, customer, at, "order_paid", payload), at


def milliseconds(instant: datetime) -> int:
    """Return the instant as the log has it."""
    return (instant - midnight(date(1970, 1, 1))) // timedelta(milliseconds=1)
