"""When the clock alone may next change what follows from a profile: its *turn*.

The turn in a profile may be early: an event that puts off the time of one rule leaves it as it was,
for working it out anew would mean to ask every rule. So when it comes, it is worked out first. Two
of three times it has been put off, and nothing else is to be done.
"""

from collections.abc import Iterable

from processors.logic import Condition, Turns, earliest, never
from processors.points import Tiers, tier_turns
from processors.rules import HeldTags, KeptTags, Ladder, Rule, Transitions
from processors.sops import Sop
from schemas.profile import Profile


def compile_clock(
    rules: Iterable[Rule], tiers: Tiers | None, edges: Iterable[Sop], sops: Iterable[Sop]
) -> Turns:
    """Return the one clock of all that a timer may change.

    What a timer may change although no clock has turned (a condition on an event that is over, a
    transition that is open already) turns at once.
    """
    clocks = [_of_rule(rule) for rule in rules]
    if tiers is not None:
        clocks.append(lambda profile, now: tier_turns(profile, tiers, now))
    clocks += [_of_condition(sop.condition) for sop in edges if sop.condition is not None]
    clocks += map(_of_journey, sops)
    return earliest(clocks)


def _at_once(_profile: Profile, now: int) -> int | None:
    return now + 1


def _of_condition(condition: Condition) -> Turns:
    return _at_once if condition.denies_event else condition.turns


def _of_rule(rule: Rule) -> Turns:
    match rule:
        case HeldTags() | Ladder():  # of the event at hand these may not ask
            return rule.turns
        case KeptTags():
            return _of_kept(rule) if rule.ttls else never
        case Transitions():
            return _of_machine(rule)


def _of_kept(kept: KeptTags) -> Turns:
    def turns(profile: Profile, now: int) -> int | None:
        for tag in kept.tags:
            if tag in kept.ttls and tag in profile.tags:
                over = profile.assigned[tag].given[0] + kept.ttls[tag]
                return max(over, now) + 1
        return None

    return turns


def _of_machine(machine: Transitions) -> Turns:
    def turns(profile: Profile, now: int) -> int | None:
        state, first = profile.machines.get(machine.name, ""), None
        for move in machine.moves:
            if not move.leaves(state):
                continue
            if move.condition.holds(profile, None, now):
                return now + 1
            due = _of_condition(move.condition)(profile, now)
            if due is not None and (first is None or due < first):
                first = due
        return first

    return turns


def _of_journey(sop: Sop) -> Turns:
    """Return the clock of the step at which the person's journey through an SOP is."""
    steps = [step for body in sop.bodies.values() for step in body.steps.values()]
    if all(_of_condition(step.watched) is never for step in steps):
        return never

    def turns(profile: Profile, now: int) -> int | None:
        journey = profile.journeys.get(sop.name)
        if journey is None or journey.ended:
            return None
        body = sop.bodies.get(journey.version)
        step = body.steps.get(journey.step) if body is not None else None
        return now + 1 if step is None else _of_condition(step.watched)(profile, now)

    return turns
