"""Tags: held while a condition holds, kept after an event, valued, exclusive, explained."""

from rule_story import Story, changes
from strategies import HOUR, START

TAG_FACTS = ("tag_added", "tag_removed", "tag_expired")

READER = """
tags:
  - name: reader
    when: {count: {event: page_viewed, where: {category: course}, within: 2h, at_least: 2}}
"""
ASKED = """
tags:
  - name: asked
    when: {event: message_received, where: {intent: price}}
    until: {event: order_paid}
    ttl: 10h
"""
ATTEMPT = """
tags:
  - {name: first, group: attempt, when: {event: message_received, where: {intent: first}}, ttl: 10h}
  - {name: again, group: attempt, when: {event: message_received, where: {intent: again}}}
"""


def test_a_held_tag_comes_and_goes_with_its_condition() -> None:
    """The second page view gives the tag; a millisecond after its window the clock takes it."""
    story = Story(READER)
    assert not changes(story.tell(0, "page_viewed", category="course"), *TAG_FACTS)
    facts = story.tell(1, "page_viewed", category="course")
    assert changes(facts, *TAG_FACTS) == [("tag_added", "reader", "", "true")]
    assert not changes(story.wait(2), *TAG_FACTS)
    (fact,) = story.wait(2, milliseconds=1)
    assert (fact.kind, fact.subject, fact.old) == ("tag_removed", "reader", "true")
    assert (fact.cause_kind, fact.cause_id) == ("timer", f"condition@{START + 2 * HOUR + 1}")


def test_a_tag_tells_where_it_came_from() -> None:
    """Profile and fact name the event, the rule, the time and the values that decided."""
    story = Story(READER)
    story.tell(0, "page_viewed", category="course")
    (fact,) = story.tell(1, "page_viewed", category="course")
    tag = story.ann.tags["reader"]
    assert (tag.cause, tag.rule, tag.since) == ("e2", "tags.reader.when", START + HOUR)
    assert (fact.cause_kind, fact.cause_id, fact.rule) == ("event", "e2", "tags.reader.when")
    assert fact.values == {"count page_viewed category=course within 2h": "2"}
    assert (fact.playbook, fact.playbook_version) == ("story", 1)


def test_a_kept_tag_expires_after_its_time_and_is_renewed_by_the_event() -> None:
    """The time counts from the latest event that gave the tag, by business time."""
    story = Story(ASKED)
    story.tell(0, "message_received", intent="price")
    story.tell(6, "message_received", intent="price", late=1)
    story.wait(15)
    assert story.tags == {"asked": True}
    facts = story.wait(15, milliseconds=1)
    assert changes(facts, *TAG_FACTS) == [("tag_expired", "asked", "true", "")]
    assert facts[-1].rule == "tags.asked.ttl"


def test_a_kept_tag_is_there_to_the_end_of_its_time() -> None:
    """An event of that very instant, which says nothing newer, finds it."""
    story = Story(ASKED)
    story.tell(0, "message_received", intent="price")
    assert not changes(story.tell(10, "message_received", intent="price", late=11), *TAG_FACTS)
    assert story.tags == {"asked": True}


def test_an_event_that_both_gives_and_takes_a_tag_gives_it() -> None:
    """It says both at once, and giving has the last word."""
    story = Story("""
tags:
  - {name: writes, when: {event: message_received}, until: {event: [message_received, order_paid]}}
""")
    story.tell(0, "message_received")
    assert story.tags == {"writes": True}
    story.tell(1, "order_paid")
    assert story.tags == {}


def test_a_kept_tag_ends_with_the_event_that_takes_it_away() -> None:
    """`until` removes it, and only what came before in business time."""
    story = Story(ASKED)
    story.tell(0, "message_received", intent="price")
    facts = story.tell(1, "order_paid")
    assert changes(facts, *TAG_FACTS) == [("tag_removed", "asked", "true", "")]
    story.tell(2, "message_received", intent="price", late=1.5)
    assert story.tags == {}
    story.tell(3, "message_received", intent="price")
    assert story.tags == {"asked": True}


def test_a_new_tag_of_a_group_replaces_the_old_one() -> None:
    """Of exclusive tags one is there; when its time is over, the one before does not come back."""
    story = Story(ATTEMPT)
    story.tell(0, "message_received", intent="again")
    facts = story.tell(1, "message_received", intent="first")
    assert changes(facts, *TAG_FACTS) == [
        ("tag_removed", "again", "true", ""),
        ("tag_added", "first", "", "true"),
    ]
    story.wait(12)
    assert story.tags == {}


def test_a_late_event_does_not_override_a_later_one() -> None:
    """What occurred later has the last word, whatever arrives last."""
    story = Story(ATTEMPT)
    story.tell(5, "message_received", intent="again")
    story.tell(6, "message_received", intent="first", late=3)
    assert story.tags == {"again": True}


def test_a_value_comes_from_the_event_or_from_an_attribute() -> None:
    """A changed value is one fact with old and new; null takes the tag away."""
    story = Story("""
tags:
  - {name: school, when: {event: attribute_set, where: {name: school}}, value: {field: value}}
  - {name: exam-year, value: {attribute: exam_year}}
""")
    story.tell(0, "attribute_set", name="school", value="PKU")
    facts = story.tell(1, "attribute_set", name="school", value="THU")
    assert changes(facts, *TAG_FACTS) == [("tag_added", "school", "PKU", "THU")]
    story.tell(2, "attribute_set", name="exam_year", value=2027)
    assert story.tags == {"school": "THU", "exam-year": 2027}
    story.tell(3, "attribute_set", name="school", value=None)
    story.tell(4, "attribute_set", name="exam_year", value=None)
    assert story.tags == {}


def test_a_tag_is_assigned_and_taken_by_hand() -> None:
    """The attribute `tag:<name>` gives it, false or null takes it; it is no attribute then."""
    story = Story("tags: [{name: vip, ttl: 10h}]")
    story.tell(0, "attribute_set", name="tag:vip", value=True)
    assert story.tags == {"vip": True}
    assert (story.ann.tags["vip"].rule, story.ann.attributes) == ("tags.vip", {})
    story.tell(1, "attribute_set", name="tag:vip", value=False)
    assert story.tags == {}
    story.tell(2, "attribute_set", name="tag:vip", value="gold")
    assert story.tags == {"vip": "gold"}
    assert changes(story.wait(13), *TAG_FACTS) == [("tag_expired", "vip", "gold", "")]
    story.tell(14, "attribute_set", name="tag:unknown", value=True)
    assert "tag:unknown" in story.ann.attributes


def test_the_first_level_that_holds_gives_the_value() -> None:
    """Levels are tried from the top."""
    story = Story("""
tags:
  - name: intention
    levels:
      - {value: high, when: {count: {event: message_received, at_least: 2}}}
      - {value: low, when: {count: {event: message_received, at_least: 1}}}
""")
    story.tell(0, "message_received")
    assert story.tags == {"intention": "low"}
    facts = story.tell(1, "message_received")
    assert changes(facts, *TAG_FACTS) == [("tag_added", "intention", "low", "high")]
    assert story.ann.tags["intention"].rule == "tags.intention.levels[0]"


def test_tags_that_read_each_other_settle_in_one_go() -> None:
    """A tag comes after those it reads, wherever it stands in the file."""
    story = Story("""
tags:
  - {name: both, when: {tag: reader, not: {tag: {name: mood, equals: bad}}}}
  - {name: mood, when: {tag: reader}, value: {attribute: mood}}
  - {name: reader, when: {count: {event: page_viewed, at_least: 1}}}
""")
    story.tell(0, "attribute_set", name="mood", value="bad")
    story.tell(1, "page_viewed")
    assert story.tags == {"reader": True, "mood": "bad"}
    story.tell(2, "attribute_set", name="mood", value="good")
    assert story.tags == {"reader": True, "mood": "good", "both": True}


def test_a_tag_that_the_playbook_no_longer_has_goes_at_the_next_event() -> None:
    """Held or kept, it is taken away once, and the fact names the version that came without it."""
    story = Story(READER + ASKED.removeprefix("\ntags:\n"))
    story.tell(0, "page_viewed", category="course")
    story.tell(1, "page_viewed", category="course")
    story.tell(1, "message_received", intent="price")
    assert story.tags == {"reader": True, "asked": True}
    story.go_on_under("tags: [{name: other}]")
    facts = story.tell(1, "page_viewed")
    assert changes(facts, *TAG_FACTS) == [
        ("tag_removed", "asked", "true", ""),
        ("tag_removed", "reader", "true", ""),
    ]
    assert facts[-1].values == {"playbook_version": "2"}
    assert (story.tags, story.ann.assigned, story.ann.trails) == ({}, {}, {})
    assert changes(story.tell(2, "page_viewed"), *TAG_FACTS) == []


def test_nothing_stays_of_what_the_playbook_no_longer_has() -> None:
    """Windows, machines and walks of rules that are gone leave the profile at the next event."""
    story = Story("""
tags: [{name: rich, when: {sum: {event: order_paid, field: amount_minor, at_least: 500}}}]
stages:
  machines:
    - name: depth
      states: [{name: out}, {name: in, when: {count: {event: page_viewed, at_least: 1}}}]
funnels:
  - {name: f, window: 1d, steps: [{name: a, event: page_viewed}, {name: b, event: order_paid}]}
""")
    story.tell(0, "page_viewed")
    story.tell(1, "order_paid")
    kept = ("tags", "tallies", "trails", "machines", "walks")
    assert all(getattr(story.ann, name) for name in kept)
    story.go_on_under("tags: [{name: other}]")
    story.tell(2, "message_received")
    assert not any(getattr(story.ann, name) for name in kept)
