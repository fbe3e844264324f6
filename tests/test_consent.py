"""Consent and holdout: what a person said, and who is left in peace for the sake of measuring."""

import pytest
from journeys_people import DAY, Person, book, sop, step, when

from processors.consents import MARKS_AT_MOST
from processors.holdout import held_out

NOON = when("2026-03-02 12:00")
SEND = {"purpose": "marketing", "channel": "wecom"}


@pytest.mark.parametrize(
    ("policy", "words", "allowed"),
    [
        ("opt_in", [], False),
        ("opt_out", [], True),
        ("opt_in", [("*", True)], True),
        ("opt_in", [("wecom", True)], True),
        ("opt_in", [("sms", True)], False),
        ("opt_out", [("*", False)], False),
        ("opt_out", [("sms", False)], True),
        ("opt_out", [("wecom", True), ("*", False)], False),
        ("opt_in", [("*", False), ("wecom", True)], True),
    ],
)
def test_consent_is_the_last_word_on_the_channel_or_on_all(
    policy: str, words: list[tuple[str, bool]], allowed: bool
) -> None:
    """The policy of the purpose decides until the person does; then the latest word."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": policy}), NOON)
    for channel, granted in words:
        ann.consents(granted, on=channel)
        ann.waits(1)
    ann.joins()
    assert bool(ann.actions) is allowed
    if not allowed:
        assert ann.told("action_suppressed") == [("action_suppressed", "tour/hi", "consent")]


def test_of_two_words_of_the_same_instant_the_refusal_counts() -> None:
    """In doubt the answer is no."""
    for first, second in ((True, False), (False, True)):
        ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_in"}), NOON)
        ann.consents(first, on="*")
        ann.consents(second, on="wecom")
        ann.joins()
        assert ann.actions == []


@pytest.mark.parametrize("others", [True, False])
def test_a_refusal_that_is_no_longer_kept_never_turns_into_a_yes(others: bool) -> None:
    """Under opt-out too: once older words may be gone, the answer is no where there is none."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_out"}), NOON)
    ann.consents(granted=False)
    for number in range(MARKS_AT_MOST):
        ann.waits(1)
        ann.consents(others, purpose=f"p{number}")
    assert "marketing/*" not in ann.profile.consents
    ann.joins()
    assert ann.actions == []
    (fact,) = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert (fact.new, fact.values["words_at_most"]) == ("consent", "64")


def test_whoever_says_a_lot_is_still_heard() -> None:
    """With all words that a profile keeps, a grant that is newer than the oldest one counts."""
    ann = Person(book(sop(step("hi", action=SEND)), consent={"marketing": "opt_in"}), NOON)
    for number in range(MARKS_AT_MOST):
        ann.consents(granted=False, purpose=f"p{number}")
    ann.waits(1)
    ann.consents(granted=True)
    ann.joins()
    assert len(ann.actions) == 1


def test_of_too_many_words_of_one_instant_no_grant_counts() -> None:
    """A form with more answers than a profile keeps: one that is gone may have been a no."""
    playbook = book(sop(step("hi", action=SEND)), consent={"marketing": "opt_out"})
    for first in (True, False):
        ann = Person(playbook, NOON)
        for on, granted in (("wecom", first), ("*", not first)):
            ann.consents(granted, on=on)
        for number in range(MARKS_AT_MOST):
            ann.consents(granted=True, purpose=f"p{number}")
        ann.joins()
        assert ann.actions == []


def test_consent_is_asked_when_the_action_is_due_not_at_entry() -> None:
    """Who withdraws in between gets nothing, and who grants in between does."""
    playbook = book(sop(step("hi", after="2d", action=SEND)), consent={"marketing": "opt_in"})
    ann, bob = Person(playbook, NOON), Person(playbook, NOON, "bob")
    ann.consents(granted=True)
    for person in (ann, bob):
        person.joins()
        person.waits(DAY)
    ann.consents(granted=False)
    bob.consents(granted=True)
    for person in (ann, bob):
        person.waits(DAY)
    assert (ann.steps, bob.steps) == ([], ["hi"])
    (fact,) = [fact for fact in ann.facts if fact.kind == "action_suppressed"]
    assert (fact.rule, fact.values["granted"]) == ("consent.marketing", "false")


def test_the_held_out_go_through_their_journeys_and_get_nothing() -> None:
    """A journey of the holdout is entered and completed; each action states the holdout."""
    playbook = book(sop(step("a"), step("b")), holdout={"percent": 100, "salt": "s"})
    ann = Person(playbook, NOON)
    ann.joins()
    assert ann.actions == []
    assert [new for _, _, new in ann.told("action_suppressed")] == ["holdout", "holdout"]
    assert ann.told("journey_exited") == [("journey_exited", "tour", "completed")]


def test_the_holdout_is_a_stable_share_of_people() -> None:
    """Some 5 percent are held out; another salt draws others; a larger share keeps the smaller."""
    people = [f"user-{number}" for number in range(20_000)]
    five = {each for each in people if held_out(each, 500, "spring")}
    ten = {each for each in people if held_out(each, 1000, "spring")}
    other = {each for each in people if held_out(each, 500, "autumn")}
    assert 900 < len(five) < 1100
    assert five < ten
    assert len(five & other) < 100
    assert not any(held_out(each, 0, "spring") for each in people)
    assert all(held_out(each, 10_000, "spring") for each in people)
