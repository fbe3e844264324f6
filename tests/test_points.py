"""Points for behaviour and money, right under refunds; tiers that rise, last and fall."""

import pytest
from rule_story import Story, changes

POINTS = """
points:
  orders: {each: 5, every_minor: 100}
  events: [{event: activity_attended, where: {category: camp}, points: 30}]
tiers:
  levels: [{name: bronze, from: 0}, {name: silver, from: 40}, {name: gold, from: 100}]
"""
SLIDING = POINTS.replace("tiers:", "tiers:\n  within: 48h\n  keep_for: 24h")


def test_behaviour_and_money_earn_points() -> None:
    """Fixed points for an event, points by money for an order; full units only."""
    story = Story(POINTS)
    story.tell(0, "activity_attended", category="camp")
    story.tell(0, "activity_attended", category="other")
    assert story.ann.points == 30
    facts = story.tell(1, "order_paid", amount_minor=999)
    assert story.ann.points == 30 + 5 + 9
    assert changes(facts, "tier_changed") == [("tier_changed", "tier", "bronze", "silver")]
    assert facts[-1].values == {"points": "44", "counted": "44"}


def test_refunds_take_points_back() -> None:
    """A part of the money takes its part; all of it takes the order's points too."""
    story = Story(POINTS)
    story.tell(0, "order_paid", amount_minor=10_000)
    assert (story.ann.points, story.ann.machines["tier"]) == (105, "gold")
    story.tell(1, "order_refunded", amount_minor=4_001)
    assert (story.ann.points, story.ann.machines["tier"]) == (5 + 59, "silver")
    story.tell(2, "order_refunded", amount_minor=5_999)
    assert (story.ann.points, story.ann.machines["tier"]) == (0, "bronze")


def test_a_refund_may_come_before_its_order() -> None:
    """Points do not depend on which of the two arrives first."""
    story = Story(POINTS)
    story.tell(0, "order_refunded", amount_minor=500)
    assert story.ann.points == 0
    story.tell(1, "order_paid", amount_minor=1_500)
    assert story.ann.points == 5 + 10


def test_a_tier_is_kept_for_its_grace_and_then_falls_by_the_clock() -> None:
    """Points slide out after 48 hours, in whole hours; the tier stays 24 hours longer."""
    story = Story(SLIDING)
    story.tell(0, "order_paid", amount_minor=10_000)
    assert story.ann.machines["tier"] == "gold"
    assert changes(story.wait(48 + 24), "tier_changed") == []
    facts = story.wait(48 + 24 + 2)
    assert changes(facts, "tier_changed") == [("tier_changed", "tier", "gold", "bronze")]
    assert (story.ann.points, facts[-1].cause_kind) == (105, "timer")


def test_a_refund_takes_the_tier_at_once() -> None:
    """The grace protects from time, not from a refund."""
    story = Story(SLIDING)
    story.tell(0, "order_paid", amount_minor=10_000)
    facts = story.tell(5, "order_refunded", amount_minor=10_000)
    assert changes(facts, "tier_changed") == [("tier_changed", "tier", "gold", "bronze")]


def test_the_grace_keeps_the_best_sum_that_there_was_in_it() -> None:
    """Two orders were within reach of each other for an hour: the tier is kept from that one on."""
    story = Story(SLIDING)
    story.tell(0, "order_paid", order_id="o1", amount_minor=4_500)
    facts = story.tell(48, "order_paid", order_id="o2", amount_minor=4_500)
    assert changes(facts, "tier_changed") == [("tier_changed", "tier", "silver", "gold")]
    for hour in (49, 60, 71, 72):  # an event that may earn asks again
        story.tell(hour, "activity_attended", category="other")
        assert story.ann.machines["tier"] == "gold"
    facts = story.wait(73)
    assert changes(facts, "tier_changed") == [("tier_changed", "tier", "gold", "silver")]


@pytest.mark.parametrize(
    ("rules", "earned"),
    [
        ("events: [{event: activity_attended, points: 30}]", 30),
        ("orders: {each: 5}", 5),
        ("orders: {every_minor: 300, points: 2}", 6),
    ],
)
def test_only_what_is_said_earns(rules: str, earned: int) -> None:
    """Orders bring nothing where only events do, their money nothing where only `each` does."""
    story = Story(f"points: {{{rules}}}")
    story.tell(0, "activity_attended", category="camp")
    story.tell(1, "order_paid", amount_minor=999)
    assert story.ann.points == earned
