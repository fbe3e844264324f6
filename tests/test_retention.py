"""Retention against plain Python: other events begin than return, in any calendar."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from warehouses import NewTables

from schemas.records import Touchpoint
from sinks.condition import Condition
from sinks.retention import Cohort, Retention, retention
from sinks.tables import TOUCHPOINTS

HOUR = 3_600_000
START = 1_700_000_000_000
FRIEND, ORDER = Condition.of("friend_added"), Condition.of("order_paid")


def _start(at: int, unit: str, zone: str) -> date:
    day = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone)).date()
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
    return day


def _later(start: date, then: date, unit: str) -> int:
    if unit == "month":
        return (then.year - start.year) * 12 + then.month - start.month
    return (then - start).days // (7 if unit == "week" else 1)


@pytest.mark.parametrize(
    ("unit", "zone", "periods"),
    [("day", "UTC", 9), ("week", "Asia/Shanghai", 40), ("month", "America/New_York", 6)],
)
def test_against_plain_python(new_tables: NewTables, unit: Any, zone: str, periods: int) -> None:
    """A person begins once and is counted once in each period with a return from then on."""
    random = Random(13)  # noqa: S311 - test data
    kinds = ("friend_added", "order_paid", "page_viewed")
    events = [
        Touchpoint(
            f"e{i}", f"u{random.randrange(200)}", START + random.randrange(24 * 200) * HOUR,
            random.choice(kinds), {},
        )
        for i in range(1500)
    ]  # fmt: skip
    first: dict[str, tuple[int, int]] = {}
    returns = defaultdict(set)
    ordered = sorted((event.occurred_at, i, event) for i, event in enumerate(events))
    for at, i, event in ordered:
        if event.kind == "friend_added":
            first.setdefault(event.user_id, (at, i))
        if event.kind == "order_paid" and event.user_id in first:
            start = _start(first[event.user_id][0], unit, zone)
            later = _later(start, _start(at, unit, zone), unit)
            if later <= periods:
                returns[start, later].add(event.user_id)
    people = defaultdict(int)
    for at, _ in first.values():
        people[_start(at, unit, zone)] += 1
    last = max(later for _, later in returns)
    expected = [
        Cohort(start, n, tuple(len(returns[start, k]) for k in range(last + 1)))
        for start, n in sorted(people.items())
    ]

    with new_tables() as warehouse:
        rows = [TOUCHPOINTS.row(("touchpoints", 0, i, 0), e) for i, e in enumerate(events)]
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[::2])
        question = Retention(FRIEND, ORDER, unit, zone, periods)
        assert retention(warehouse, question) == expected


def test_nobody(new_tables: NewTables) -> None:
    """Without anybody there are no cohorts."""
    with new_tables() as warehouse:
        assert retention(warehouse, Retention(FRIEND, ORDER)) == []
