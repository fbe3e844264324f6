"""The eight segments, and recency that falls with the clock alone."""

import pytest
from playbook_yaml import SHIPPED
from strategies import DAY, START

from processors.partition import Partition
from schemas.records import Touchpoint
from schemas.segments import SEGMENTS


def partition_with(*orders: tuple[int, int]) -> Partition:
    """Return a partition in which ann paid these orders, each a time and an amount."""
    partition = Partition(SHIPPED, {})
    partition.apply(
        (
            Touchpoint(
                f"e{number}",
                "ann",
                at,
                "order_paid",
                {"order_id": f"o{number}", "amount_minor": amount, "currency": "USD"},
            ),
            at,
        )
        for number, (at, amount) in enumerate(orders)
    )
    return partition


@pytest.mark.parametrize(
    ("recent", "amounts", "name", "chinese"),
    [
        (True, (3000, 1000, 1000), "important_value", "重要价值"),
        (False, (3000, 1000, 1000), "important_keep", "重要保持"),
        (True, (5000,), "important_develop", "重要发展"),
        (False, (5000,), "important_retain", "重要挽留"),
        (True, (100, 100, 100), "general_value", "一般价值"),
        (False, (100, 100, 100), "general_keep", "一般保持"),
        (True, (4999,), "general_develop", "一般发展"),
        (False, (4999,), "general_retain", "一般挽留"),
    ],
)
def test_each_of_the_eight_segments(
    recent: bool, amounts: tuple[int, ...], name: str, chinese: str
) -> None:
    """A person is in the segment that the table of the field names."""
    partition = partition_with(*[(START, amount) for amount in amounts])
    partition.advance(START + (90 * DAY if recent else 90 * DAY + 1))
    assert partition.profiles["ann"].segment == name
    assert {segment.name: segment.chinese for segment in SEGMENTS.values()}[name] == chinese


def test_recency_falls_by_the_clock_and_says_so() -> None:
    """A person who does nothing changes segment a millisecond after the cut, by a timer."""
    partition = partition_with((START, 100))
    partition.advance(START + 90 * DAY)
    assert partition.profiles["ann"].segment == "general_develop"
    due = START + 90 * DAY + 1
    (fact,) = partition.advance(due).facts
    assert (fact.kind, fact.old, fact.new) == (
        "segment_changed",
        "general_develop",
        "general_retain",
    )
    assert (fact.cause_kind, fact.cause_id, fact.at) == ("timer", f"rfm@{due}", due)
    assert fact.values["letters"] == "LLL"


def test_an_event_at_the_last_recent_instant_finds_the_person_recent() -> None:
    """The instant of the cut is included, for whoever asks at that instant, not only by timers."""
    partition = partition_with((START, 100))
    at = START + 90 * DAY
    view = {"page": "/", "category": "", "duration_ms": 0}
    effects = partition.apply([(Touchpoint("view", "ann", at, "page_viewed", view), at)])
    assert [fact.kind for fact in effects.facts if fact.kind == "segment_changed"] == []
    assert partition.profiles["ann"].segment == "general_develop"


def test_a_new_order_puts_recency_off() -> None:
    """Recency counts from the latest order: an order in between moves the fall."""
    partition = partition_with((START, 100), (START + 50 * DAY, 100))
    partition.advance(START + 140 * DAY)
    assert partition.profiles["ann"].segment == "general_develop"
    partition.advance(START + 140 * DAY + 1)
    assert partition.profiles["ann"].segment == "general_retain"
