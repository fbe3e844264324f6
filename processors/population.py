"""The totals of a population, of which RFM can take the means.

Each partition measures its own people; totals add up. The result is written into the playbook
(``rfm.means``) and holds from then on: ``docs/decisions/0007-rfm-means-are-a-snapshot.md``.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.profile import Profile


class Population(NamedTuple):
    """Totals over people with an order that counts, as of one time; in whole numbers.

    ``recency_ms`` is the time from their last orders, ``frequency`` their orders and
    ``monetary_minor`` their money. The fields are those of ``rfm.means``.
    """

    as_of: int
    people: int = 0
    recency_ms: int = 0
    frequency: int = 0
    monetary_minor: int = 0


def measure(profiles: Iterable[Profile], as_of: int) -> Population:
    """Return the totals of these people at ``as_of``, in milliseconds since 1970 UTC."""
    customers = [each for each in profiles if each.last_paid_at is not None]
    return Population(
        as_of,
        len(customers),
        sum(as_of - (each.last_paid_at or 0) for each in customers),
        sum(each.frequency for each in customers),
        sum(each.monetary_minor for each in customers),
    )


def combine(parts: Iterable[Population]) -> Population:
    """Return the totals of several partitions together.

    Raises:
        ValueError: they are as of different times, or there are none.
    """
    measured = list(parts)
    times = {each.as_of for each in measured}
    if len(times) != 1:
        raise ValueError(f"the parts are as of {len(times)} different times: measure them at one")
    (as_of,) = times
    totals = [sum(column) for column in zip(*(each[1:] for each in measured), strict=True)]
    return Population(as_of, *totals)
