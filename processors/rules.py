"""Rules: tags and stage machines, compiled, and put into the order in which they are judged.

A rule may read tags and stages that other rules give, so each comes after those that it reads;
the reader of the playbook refuses circles. Hence one pass brings everything up to date.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from processors.checks import Matches
from processors.conditions import compile_condition
from processors.logic import Condition, Turns, all_of, any_of, earliest, never, triggered
from processors.past import not_done
from schemas.playbook.conditions import ConditionSpec, NotDoneSpec
from schemas.playbook.order import Node, rule_order
from schemas.playbook.stages import EngagementSpec, MachineSpec
from schemas.playbook.tags import TagSpec
from schemas.playbook.whole import PlaybookSpec
from schemas.profile import Scalar
from schemas.records import Touchpoint

MANUAL = "tag:"
"""An attribute of this prefix and a kept tag's name assigns that tag by hand."""


@dataclass(frozen=True, slots=True)
class TagRule:
    """Gives a tag, or takes a kept one away, when its condition holds.

    The value is ``value``, or the one of the attribute, or the one of the event's field.
    """

    tag: str
    path: str
    condition: Condition
    value: Scalar = True
    attribute: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class HeldTags:
    """Tags of which the first whose rule holds is there, and the others are not.

    ``turns`` is the clock of its conditions together.
    """

    tags: frozenset[str]
    rules: tuple[TagRule, ...]
    turns: Turns

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it looks at."""
        return tuple(rule.condition for rule in self.rules)


@dataclass(frozen=True, slots=True)
class KeptTags:
    """Tags of which the one that the latest event gave is there, for its ``ttl`` at most."""

    tags: tuple[str, ...]
    rules: tuple[TagRule, ...]
    ttls: Mapping[str, int]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it looks at."""
        return tuple(rule.condition for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Move:
    """A state, the states it may be reached from (none: any), and the condition."""

    to: str
    path: str
    condition: Condition
    origins: frozenset[str] = frozenset()

    def leaves(self, state: str) -> bool:
        """Tell whether it leads from the state to another one."""
        return self.to != state and (not self.origins or state in self.origins)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A machine in the highest state whose condition holds; ``moves`` go from the highest down.

    ``turns`` is the clock of its conditions together.
    """

    name: str
    path: str
    first: str
    moves: tuple[Move, ...]
    turns: Turns

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it looks at."""
        return tuple(move.condition for move in self.moves)


@dataclass(frozen=True, slots=True)
class Transitions:
    """A machine that leaves its state only by one of its moves."""

    name: str
    path: str
    first: str
    states: frozenset[str]
    moves: tuple[Move, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it looks at."""
        return tuple(move.condition for move in self.moves)


Rule = HeldTags | KeptTags | Ladder | Transitions


def compile_rules(spec: PlaybookSpec) -> dict[Node, Rule]:
    """Return the rules by what they give, each after those that it reads."""
    groups: dict[Node, list[TagSpec]] = {}
    for tag in spec.tags:
        groups.setdefault(tag.node, []).append(tag)
    rules: dict[Node, Rule] = {
        node: _held(tags) if tags[0].held else _kept(tags) for node, tags in groups.items()
    }
    for machine in spec.stages.machines:
        rules[machine.node] = _transitions(machine) if machine.transitions else _ladder(machine)
    if spec.stages.engagement is not None:
        rules["stage:engagement"] = _engagement(spec.stages.engagement)
    return {node: rules[node] for node in rule_order(spec) if node in rules}


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule that a kind of event, or the clock, may change.

    Attributes:
        rule: The rule.
        tests: What the event's fields must pass to concern it; None for any event of the kind, and
            for a rule that the clock concerns.
        reads: What else concerns it once it has changed.
    """

    rule: Rule
    tests: tuple[Matches, ...] | None
    reads: frozenset[str]

    def concerns(self, touchpoint: Touchpoint | None, changed: AbstractSet[str]) -> bool:
        """Tell whether the event or the clock, or what it changed, may change the rule."""
        if self.tests is None or not self.reads.isdisjoint(changed):
            return True
        if touchpoint is not None:
            for matches in self.tests:
                if matches(touchpoint):
                    return True
        return False


def by_kind(
    rules: Mapping[Node, Rule], given: Mapping[Node, Iterable[str]]
) -> dict[str, tuple[Asked, ...]]:
    """Return the rules that each kind of event may change, directly or through other rules.

    Args:
        rules: The rules in their order.
        given: The kinds that may change what the rules read and do not give: stages, the segment.
    """
    changing = {node: frozenset(kinds) for node, kinds in given.items()}
    table: dict[str, tuple[Asked, ...]] = {}
    for node, rule in rules.items():
        direct = _triggers(rule)
        reads = frozenset().union(*(condition.reads for condition in rule.conditions))
        kinds = frozenset(direct).union(*(changing[read] for read in reads))
        changing |= dict.fromkeys((node, *(f"tag:{tag}" for tag in _tags(rule))), kinds)
        for kind in sorted(kinds):
            tests = direct.get(kind, ())
            specific = tuple(matches for matches in tests if matches is not None)
            asked = Asked(rule, specific if len(specific) == len(tests) else None, reads)
            table[kind] = (*table.get(kind, ()), asked)
    return table


def by_clock(rules: Iterable[Rule]) -> tuple[Asked, ...]:
    """Return the rules that a timer may change, by the clock or through what they read."""
    asked = (
        Asked(
            rule,
            None if _clocked(rule) else (),
            frozenset().union(*(condition.reads for condition in rule.conditions)),
        )
        for rule in rules
    )
    return tuple(each for each in asked if each.tests is None or each.reads)


def _clocked(rule: Rule) -> bool:
    """Tell whether a rule may come to another end at a timer."""
    match rule:
        case HeldTags() | Ladder():
            return rule.turns is not never
        case KeptTags():
            return bool(rule.ttls)
        case Transitions():
            return True  # one that was open behind the last event may be taken now


def manual_tag(touchpoint: Touchpoint) -> str:
    """Return the tag that the event assigns by hand; empty if it does not."""
    if touchpoint.kind != "attribute_set":
        return ""
    name: str = touchpoint.payload["name"]
    return name.removeprefix(MANUAL) if name.startswith(MANUAL) else ""


def _tags(rule: Rule) -> Iterable[str]:
    return rule.tags if isinstance(rule, HeldTags | KeptTags) else ()


def _triggers(rule: Rule) -> dict[str, tuple[Matches | None, ...]]:
    """Return the events that may change the rule directly: by kind, what they must pass."""
    triggers: dict[str, tuple[Matches | None, ...]] = {}
    for condition in rule.conditions:
        for kind, tests in condition.triggers.items():
            triggers[kind] = (*triggers.get(kind, ()), *tests)
    if isinstance(rule, KeptTags):
        tags = frozenset(rule.tags)
        by_hand = triggered(("attribute_set",), lambda touchpoint: manual_tag(touchpoint) in tags)
        triggers |= {kind: triggers.get(kind, ()) + tests for kind, tests in by_hand.items()}
    return triggers


def _held(tags: list[TagSpec]) -> HeldTags:
    rules = tuple(rule for tag in tags for rule in _given(tag))
    turns = earliest(rule.condition.turns for rule in rules)
    return HeldTags(frozenset(tag.name for tag in tags), rules, turns)


def _kept(tags: list[TagSpec]) -> KeptTags:
    taken = [
        TagRule(tag.name, f"tags.{tag.name}.until", compile_condition(tag.until), None)
        for tag in tags
        if tag.until is not None
    ]
    return KeptTags(
        tuple(tag.name for tag in tags),
        (*(rule for tag in tags for rule in _given(tag)), *taken),
        {tag.name: tag.ttl for tag in tags if tag.ttl is not None},
    )


def _given(tag: TagSpec) -> list[TagRule]:
    """Return the rules that give a tag."""
    path = f"tags.{tag.name}"
    attribute = (tag.value.attribute if tag.value else None) or ""
    field = (tag.value.field if tag.value else None) or ""
    parts = [tag.when] if tag.when else []
    if attribute:  # a tag with the value of an attribute is there only while that is
        parts.append(ConditionSpec.model_validate({"attribute": {"name": attribute}}))
    if parts:
        condition = all_of([compile_condition(part) for part in parts])
        return [TagRule(tag.name, f"{path}.when", condition, True, attribute, field)]
    return [
        TagRule(tag.name, f"{path}.levels[{n}]", compile_condition(level.when), level.value)
        for n, level in enumerate(tag.levels)
    ]


def _ladder(machine: MachineSpec) -> Ladder:
    path = f"stages.machines.{machine.name}"
    moves = [
        Move(state.name, f"{path}.states.{state.name}", compile_condition(state.when))
        for state in reversed(machine.states)
        if state.when is not None
    ]
    return _ladder_of(machine.name, path, machine.states[0].name, tuple(moves))


def _transitions(machine: MachineSpec) -> Transitions:
    path = f"stages.machines.{machine.name}"
    moves = [
        Move(
            move.to,
            f"{path}.transitions[{number}]",
            compile_condition(move.when),
            frozenset(move.from_ or ()),
        )
        for number, move in enumerate(machine.transitions)
    ]
    states = frozenset(state.name for state in machine.states)
    return Transitions(machine.name, path, machine.states[0].name, states, tuple(moves))


def _engagement(spec: EngagementSpec) -> Ladder:
    """Return silent and lost as the ladder of conditions that they are."""
    lost = compile_condition(ConditionSpec(friend="lost"))
    pauses = {
        state: not_done(NotDoneSpec.model_construct(event=spec.active, where={}, for_=length))
        for state, length in (("lost", spec.lost_after), ("silent", spec.silent_after))
    }
    path = "stages.engagement"
    moves = (
        Move("lost", f"{path}.lost", any_of([lost, pauses["lost"]])),
        Move("silent", f"{path}.silent", pauses["silent"]),
    )
    return _ladder_of("engagement", path, "active", moves)


def _ladder_of(name: str, path: str, first: str, moves: tuple[Move, ...]) -> Ladder:
    return Ladder(name, path, first, moves, earliest(move.condition.turns for move in moves))
