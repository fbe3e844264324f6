"""Conditions: what each part of the language holds for, reads, and when the clock turns it."""

from typing import Any

import pytest
from msgspec.structs import replace
from strategies import DAY, HOUR, START

from processors.conditions import compile_condition
from processors.logic import Condition
from schemas.playbook import ConditionSpec
from schemas.profile import Mark, Profile, Tag
from schemas.records import Touchpoint

PAGE = Touchpoint(
    "e1", "ann", START, "page_viewed", {"page": "/course/a", "duration_ms": 10}, channel="wecom"
)


def condition(**keys: Any) -> Condition:
    """Compile a condition from its YAML."""
    return compile_condition(ConditionSpec.model_validate(keys))


def key_of(compiled: Condition) -> str:
    """Return the name of the condition's only window."""
    (window,) = compiled.needs
    return window.key


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({}, True),
        ({"page": {"starts_with": "/course/"}}, True),
        ({"page": {"starts_with": "/shop/"}}, False),
        ({"duration_ms": {"at_least": 10, "at_most": 10}}, True),
        ({"duration_ms": {"more_than": 10}}, False),
        ({"duration_ms": {"less_than": 11}, "channel": {"in": ["wecom", "sms"]}}, True),
        ({"channel": "sms"}, False),
        ({"channel": {"not_equals": "sms"}}, True),
        ({"duration_ms": True}, False),
        ({"category": {"exists": False}}, True),
    ],
)
def test_the_event_at_hand_is_checked_by_its_fields(where: dict[str, Any], holds: bool) -> None:
    """Fields of payload and envelope, all checks at once; a timer has no event at hand."""
    asked = condition(event=["page_viewed", "link_scanned"], where=where)
    assert asked.holds(Profile("ann"), PAGE, START) is holds
    assert not asked.holds(Profile("ann"), None, START)
    assert asked.asks_event
    assert condition(event="link_scanned").holds(Profile("ann"), PAGE, START) is False


def test_what_was_read_is_told() -> None:
    """Facts can name every value that decided."""
    profile = Profile(
        "ann",
        tags={"year": Tag(2027, 0, "e0", "tags.year")},
        attributes={"city": Mark(0, 0, "Xi'an")},
        machines={"course": "warm"},
        segment="general_value",
    )
    asked = condition(
        event="page_viewed",
        where={"page": {"starts_with": "/"}},
        tag={"name": "year", "at_least": 2027},
        any=[
            {"attribute": {"name": "city"}, "stage": {"machine": "course", "is": "warm"}},
            {"segment": "general_value", "friend": "lost"},
        ],
    )
    assert asked.holds(profile, PAGE, START)
    assert asked.values(profile, PAGE, START) == {
        "event": "page_viewed",
        "event.page": "/course/a",
        "tag year": "2027",
        "attribute city": "Xi'an",
        "stage course": "warm",
        "segment": "general_value",
        "friend": "none",
    }
    assert asked.reads == {"tag:year", "stage:course", "segment"}


def test_a_count_turns_when_an_event_leaves_the_window() -> None:
    """Exactly a window old still counts; a millisecond later it does not."""
    asked = condition(count={"event": "page_viewed", "within": "7d", "at_least": 2})
    profile = Profile("ann", trails={key_of(asked): (START, START + HOUR, START + 2 * HOUR)})
    due = START + HOUR + 7 * DAY + 1
    assert asked.turns(profile, START + 2 * HOUR) == due
    assert asked.holds(profile, None, due - 1)
    assert not asked.holds(profile, None, due)
    assert asked.turns(profile, due) is None


def test_a_count_with_an_upper_bound_turns_back() -> None:
    """Between one and two: too many, then enough, then none."""
    asked = condition(count={"event": "page_viewed", "within": "1h", "at_least": 1, "at_most": 2})
    profile = Profile("ann", trails={key_of(asked): (START, START + 10, START + 20)})
    turns = [START + 20]
    while (due := asked.turns(profile, turns[-1])) is not None:
        assert asked.holds(profile, None, due - 1) is not asked.holds(profile, None, due)
        turns.append(due)
    assert turns == [START + 20, START + HOUR + 1, START + HOUR + 21]


def test_a_pause_counts_from_the_last_event_or_the_first_sight() -> None:
    """Not done for two days: since it was done, or since the person is known."""
    asked = condition(not_done={"event": "order_paid", "for": "2d"})
    assert asked.turns(Profile("ann"), START) is None
    seen = Profile("ann", first_seen_at=START)
    assert asked.turns(seen, START) == START + 2 * DAY + 1
    done = Profile("ann", first_seen_at=START, trails={key_of(asked): (START + DAY,)})
    assert asked.turns(done, START + DAY) == START + 3 * DAY + 1
    assert not asked.holds(done, None, START + 3 * DAY)
    assert asked.holds(done, None, START + 3 * DAY + 1)


def test_a_composition_turns_with_the_first_of_its_parts() -> None:
    """Whatever is composed is looked at again when any part may change."""
    parts = [
        {"not_done": {"event": "order_paid", "for": "2d"}},
        {"not": {"not_done": {"event": "page_viewed", "for": "3h"}}},
    ]
    profile = Profile("ann", first_seen_at=START)
    for asked in (condition(all=parts), condition(any=parts)):
        assert asked.turns(profile, START) == START + 3 * HOUR + 1
        assert asked.turns(profile, START + DAY) == START + 2 * DAY + 1


def test_a_sequence_takes_the_second_event_strictly_after_the_first() -> None:
    """In time, and not the other way round."""
    rule = {"first": {"event": "page_viewed"}, "then": {"event": "order_paid"}, "within": "1h"}
    asked = condition(sequence=rule)
    first, then = sorted(asked.needs, key=lambda window: window.kinds != {"page_viewed"})
    for gap, holds in ((-1, False), (0, False), (1, True), (HOUR, True), (HOUR + 1, False)):
        profile = Profile("ann", trails={first.key: (START,), then.key: (START + gap,)})
        assert asked.holds(profile, None, START + DAY) is holds


def test_only_what_it_looks_at_concerns_a_condition() -> None:
    """Events that match, readings that changed, and the clock where it can turn it."""
    seen = condition(event="page_viewed", where={"page": {"starts_with": "/course/"}})
    assert seen.concerns(PAGE, set())
    assert not seen.concerns(replace(PAGE, payload={"page": "/shop"}), set())
    assert not seen.concerns(replace(PAGE, kind="group_left"), {"tag:vip"})
    assert not seen.concerns(None, set())
    tagged = condition(tag="vip")
    assert tagged.concerns(PAGE, {"tag:vip"})
    assert not tagged.concerns(PAGE, {"tag:other"})
    recent = condition(count={"event": "page_viewed", "within": "7d", "at_least": 1})
    assert recent.concerns(None, set())


def test_whoever_denies_an_event_is_concerned_by_all_others() -> None:
    """``not: {event: A}`` begins to hold with any event that is not an A."""
    denied = condition(**{"not": {"event": "page_viewed"}, "tag": "vip"})
    assert denied.concerns(replace(PAGE, kind="group_left"), set())


@pytest.mark.parametrize(("wanted", "other"), [(1, True), (True, 1), (0, False), (False, 0)])
def test_a_number_equals_no_truth_value(wanted: object, other: object) -> None:
    """In Python they are equal, in a playbook they are not, whichever way it asks."""
    for keys, holds in (("equals", False), ("not_equals", True)):
        asked = condition(attribute={"name": "a", keys: wanted})
        ann = Profile("ann", attributes={"a": Mark(START, 0, other)})
        assert asked.holds(ann, None, START) is holds
    asked = condition(attribute={"name": "a", "in": [wanted]})
    assert not asked.holds(Profile("ann", attributes={"a": Mark(START, 0, other)}), None, START)
