"""Points for behaviour and money, right under refunds; tiers that rise, last and fall."""

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
