"""RFM against fixed cuts at ten dates, and against the means of a population, on CDNOW."""

from fractions import Fraction

import pytest
from cdnow_oracle import purchases_by_customer
from playbook_yaml import SHIPPED, brisk
from strategies import DAY

from processors.partition import Partition
from processors.population import Population, combine, measure
from schemas.records import Touchpoint
from schemas.segments import SEGMENTS

Purchase = tuple[int, str, int]


@pytest.fixture(scope="module")
def purchases() -> list[Purchase]:
    """Return time, customer and cents of every purchase, by time."""
    bought = purchases_by_customer().items()
    return sorted((at, customer, cents) for customer, own in bought for at, cents in own)


def paid(number: int, purchase: Purchase) -> tuple[Touchpoint, int]:
    """Return the purchase as a record of the log."""
    at, customer, cents = purchase
    payload = {"order_id": f"o{number}", "amount_minor": cents, "currency": "USD"}
    return Touchpoint(f"e{number}", customer, at, "order_paid", payload), at


def sums(purchases: list[Purchase], now: int) -> dict[str, tuple[int, int, int]]:
    """Return each customer's recency, frequency and money at ``now``, from the raw list."""
    found: dict[str, tuple[int, int, int]] = {}
    for at, customer, cents in purchases:
        if at <= now:
            _, frequency, money = found.get(customer, (0, 0, 0))
            found[customer] = now - at, frequency + 1, money + cents
    return found


def test_segments_are_right_at_ten_dates(purchases: list[Purchase]) -> None:
    """At any date everybody is in the segment that the purchases up to then give."""
    partition = Partition(SHIPPED, {})
    first, last = purchases[0][0], purchases[-1][0]
    begin = 0
    for step in range(1, 11):
        now = first + (last + 60 * DAY - first) * step // 10
        upto = next((n for n, each in enumerate(purchases) if each[0] > now), len(purchases))
        partition.apply(paid(n, purchases[n]) for n in range(begin, upto))
        partition.advance(now)
        begin = upto
        for customer, (recency, frequency, money) in sums(purchases, now).items():
            letters = (recency <= 90 * DAY, frequency >= 3, money >= 5000)
            name = SEGMENTS["".join("H" if letter else "L" for letter in letters)].name
            assert partition.profiles[customer].segment == name, (customer, now)


@pytest.fixture(scope="module")
def some(purchases: list[Purchase]) -> list[Purchase]:
    """Return the purchases of every eighth customer."""
    return [each for each in purchases if int(each[1]) % 8 == 0]


def test_totals_of_partitions_add_up_to_those_of_the_population(some: list[Purchase]) -> None:
    """However people are spread, the totals are those of a plain sum over the file."""
    now = some[-1][0]
    parts = []
    for number in range(3):
        partition = Partition(SHIPPED, {})
        records = [each for each in some if int(each[1]) % 3 == number]
        partition.apply(paid(n, each) for n, each in enumerate(records))
        parts.append(measure(partition.profiles.values(), now))
    want = list(sums(some, now).values())
    assert combine(parts) == Population(now, len(want), *map(sum, zip(*want, strict=True)))


def test_population_means_divide_people_exactly(some: list[Purchase]) -> None:
    """With the measured totals as means, H is at or above the exact mean, for everybody."""
    now = some[-1][0]
    figures = sums(some, now)
    people = len(figures)
    recency, frequency, money = (
        Fraction(sum(column), people) for column in zip(*figures.values(), strict=True)
    )
    totals = Population(now, people, *map(sum, zip(*figures.values(), strict=True)))
    playbook = brisk(rfm={"means": {"version": 4, **totals._asdict()}}, min_order_minor=0)
    partition = Partition(playbook, {})
    facts = partition.apply(paid(n, each) for n, each in enumerate(some)).facts
    partition.advance(now)
    found = set()
    for customer, mine in figures.items():
        letters = (mine[0] <= recency, mine[1] >= frequency, mine[2] >= money)
        name = SEGMENTS["".join("H" if letter else "L" for letter in letters)].name
        assert partition.profiles[customer].segment == name
        found.add(name)
    assert len(found) > 4
    changed = [fact for fact in facts if fact.kind == "segment_changed"]
    assert {fact.values["cuts"] for fact in changed} == {"means 4"}


def test_totals_of_different_times_are_not_combined() -> None:
    """A mean over measurements of different times would be of no time at all."""
    with pytest.raises(ValueError, match="2 different times"):
        combine([Population(1), Population(2)])
