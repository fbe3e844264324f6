"""Stage machines: AIPL's neighbours, silent and lost by the clock, ladders and transitions."""

from rule_story import Story, changes
from strategies import HOUR, START

ENGAGEMENT = "stages: {engagement: {silent_after: 10h, lost_after: 20h}}"
TRANSITIONS = """
tags:
  - {name: reader, when: {count: {event: page_viewed, within: 5h, at_least: 1}}}
stages:
  machines:
    - name: course
      states: [{name: new}, {name: trial}, {name: paid}, {name: gone}]
      transitions:
        - {from: new, to: trial, when: {event: trial_started}}
        - {from: [new, trial], to: paid, when: {event: order_paid}}
        - {from: trial, to: gone, when: {not_done: {event: trial_started, for: 10h}}}
        - {from: gone, to: new, when: {tag: reader}}
"""


def test_silent_and_lost_come_by_the_clock_alone() -> None:
    """Without an active touch a person falls silent, then is lost; a touch brings her back."""
    story = Story(ENGAGEMENT)
    facts = story.tell(0, "message_received")
    assert ("stage_changed", "engagement", "", "active") in changes(facts, "stage_changed")
    story.tell(4, "page_viewed")
    assert story.wait(10) == []
    (fact,) = story.wait(10, milliseconds=1)
    assert (fact.old, fact.new, fact.rule) == ("active", "silent", "stages.engagement.silent")
    assert fact.cause_id == f"condition@{START + 10 * HOUR + 1}"
    (fact,) = story.wait(20, milliseconds=1)
    assert (fact.old, fact.new) == ("silent", "lost")
    facts = story.tell(30, "message_received")
    assert changes(facts, "stage_changed") == [("stage_changed", "engagement", "lost", "active")]


def test_a_person_without_any_active_touch_is_silent_from_the_first_sight_on() -> None:
    """Passive contact only: the pause counts from the first event, and a late one moves it back."""
    story = Story(ENGAGEMENT)
    story.tell(0, "page_viewed")
    story.tell(1, "page_viewed", late=6)
    story.wait(5)
    assert story.ann.machines["engagement"] == "active"
    story.wait(5, milliseconds=1)
    assert story.ann.machines["engagement"] == "silent"


def test_who_removes_the_last_friend_is_lost_at_once() -> None:
    """Lost is also who has no relation left; one of two is enough to stay."""
    story = Story(ENGAGEMENT)
    story.tell(0, "friend_added", staff="li")
    story.tell(0, "friend_added", staff="wang")
    story.tell(1, "friend_removed", staff="li")
    assert story.ann.machines["engagement"] == "active"
    facts = story.tell(2, "friend_removed", staff="wang")
    assert changes(facts, "stage_changed") == [("stage_changed", "engagement", "active", "lost")]
    assert facts[-1].values["friend"] == "lost"


def test_a_ladder_is_in_its_highest_state_and_falls_back() -> None:
    """States are conditions, from the lowest to the highest; nothing is remembered."""
    story = Story("""
stages:
  machines:
    - name: heat
      states:
        - {name: cold}
        - {name: warm, when: {count: {event: page_viewed, within: 5h, at_least: 1}}}
        - {name: hot, when: {count: {event: page_viewed, within: 5h, at_least: 2}}}
""")
    facts = story.tell(0, "page_viewed") + story.tell(1, "page_viewed") + story.wait(20)
    steps = [new for _, subject, _, new in changes(facts, "stage_changed") if subject == "heat"]
    assert steps == ["warm", "hot", "warm", "cold"]


def test_transitions_leave_a_state_only_by_their_own_ways() -> None:
    """An event opens a way only from the states it names."""
    story = Story(TRANSITIONS)
    story.tell(0, "trial_started", product="p")
    assert story.ann.machines == {"course": "trial"}
    story.tell(1, "order_paid")
    assert story.ann.machines == {"course": "paid"}
    story.tell(2, "trial_started", product="p")
    story.wait(100)
    assert story.ann.machines == {"course": "paid"}


def test_transitions_follow_on_from_each_other() -> None:
    """The clock takes the trial to gone, and a held tag takes it on to new at once."""
    story = Story(TRANSITIONS)
    story.tell(0, "trial_started", product="p")
    story.tell(8, "page_viewed")
    facts = story.wait(10, milliseconds=1)
    assert changes(facts, "stage_changed") == [
        ("stage_changed", "course", "trial", "gone"),
        ("stage_changed", "course", "gone", "new"),
    ]
    assert [fact.rule[-2] for fact in facts] == ["2", "3"]


def test_one_event_opens_one_transition() -> None:
    """The next one waits for the next event of its kind."""
    story = Story("""
stages:
  machines:
    - name: talk
      states: [{name: cold}, {name: warm}, {name: hot}]
      transitions:
        - {from: cold, to: warm, when: {event: message_received}}
        - {from: warm, to: hot, when: {event: message_received}}
""")
    for hour, state in enumerate(("warm", "hot", "hot")):
        story.tell(hour, "message_received")
        assert story.ann.machines["talk"] == state


def test_a_transition_that_is_open_already_is_taken_at_the_next_timer() -> None:
    """One event enters no state twice; a timer that comes early for all else goes on from there."""
    story = Story("""
stages:
  engagement: {silent_after: 10h, lost_after: 20h}
  machines:
    - name: turn
      states: [{name: here}, {name: there}]
      transitions:
        - {from: here, to: there, when: {friend: held}}
        - {from: there, to: here, when: {friend: held}}
""")
    story.tell(0, "friend_added")
    assert story.ann.machines["turn"] == "there"
    assert changes(story.tell(4, "message_received"), "stage_changed") == []
    assert story.wait(10) == []
    facts = story.wait(10, milliseconds=1)
    assert changes(facts, "stage_changed") == [("stage_changed", "turn", "there", "here")]
