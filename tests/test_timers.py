"""Which timer of a person fires first: by time, then by kind, then by priority and name."""

from collections.abc import Collection
from itertools import chain, combinations

import pytest
from journeys_people import book, sop, step
from playbook_yaml import brisk
from strategies import DAY, START

from processors.timers import Timer, TimerKind, first_timer, next_due, timers
from schemas.profile import Journey, Profile

BRISK = brisk()
DUE = START + 9 * DAY
SETS = list(chain.from_iterable(combinations(TimerKind, size) for size in range(1, 5)))


def waiting(kinds: Collection[TimerKind], due: int = DUE) -> Profile:
    """Return a person who waits for these kinds of timers, all due at one instant."""
    ann = Profile("ann", segment="general_keep", customer="old_purchased")
    if TimerKind.CUSTOMER in kinds:
        ann.customer, ann.first_seen_at = "new_purchased", due - 3 * DAY - 1
    if TimerKind.RFM in kinds:
        ann.segment, ann.last_paid_at = "general_value", due - 2 * DAY - 1
    if TimerKind.CONDITION in kinds:
        ann.turn = due
    if TimerKind.STEP in kinds:
        ann.journeys = {"welcome": Journey(2, "e1", START, "thanks", due)}
    return ann


@pytest.mark.parametrize("kinds", SETS, ids=lambda kinds: "-".join(each.name for each in kinds))
def test_at_one_instant_stages_and_segment_come_before_conditions_and_these_before_steps(
    kinds: tuple[TimerKind, ...],
) -> None:
    """Whichever of them wait: so a step at that instant finds the person as she is then."""
    ann = waiting(kinds)
    assert [timer.kind for timer in timers(ann, BRISK)] == sorted(kinds)
    first = first_timer(ann, BRISK)
    assert first is not None
    assert (first.due, first.kind, next_due(ann, BRISK)) == (DUE, min(kinds), DUE)


@pytest.mark.parametrize("kind", TimerKind, ids=lambda kind: kind.name)
def test_the_earliest_comes_first_whatever_it_is(kind: TimerKind) -> None:
    """A millisecond is enough."""
    ann, sooner = waiting(TimerKind), waiting([kind], DUE - 1)
    for name in ("first_seen_at", "last_paid_at", "turn", "journeys"):
        setattr(ann, name, getattr(sooner, name) or getattr(ann, name))
    first = first_timer(ann, BRISK)
    assert first is not None
    assert (first.due, first.kind, next_due(ann, BRISK)) == (DUE - 1, kind, DUE - 1)
    assert [first] == timers(ann, BRISK, DUE - 1)


def test_of_steps_at_one_instant_the_more_important_comes_first_then_the_name() -> None:
    """In whatever order the journeys were opened."""
    sops = [("b", 0), ("a", 0), ("z", 5)]
    playbook = book(*(sop(step("hi"), name=name, priority=priority) for name, priority in sops))
    for order in (sops, sops[::-1]):
        ann = Profile("ann")
        ann.journeys = {name: Journey(1, "e1", START, "hi", DUE) for name, _ in order}
        assert [timer.sop for timer in timers(ann, playbook)] == ["z", "a", "b"]
        assert first_timer(ann, playbook) == Timer(DUE, TimerKind.STEP, -5, "z", "hi", 1)
