"""Cross-checks: every name that a rule uses is declared, and can be judged."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from schemas.playbook.conditions import ConditionSpec, TagCheckSpec
from schemas.playbook.field_checks import Wrong, compared, field_problems, unknown
from schemas.playbook.order import circle
from schemas.playbook.sops import ActionSpec
from schemas.playbook.stages import MachineSpec
from schemas.playbook.tags import TagSpec
from schemas.playbook.texts import Placed, parse_text
from schemas.playbook.whole import PlaybookSpec
from schemas.playbook_errors import Place
from schemas.rules import or_rather, shown
from schemas.segments import AIPL, CUSTOMER, ENGAGEMENT, SEGMENTS

_SEGMENTS = {segment.name: segment for segment in SEGMENTS.values()}
BUILT_IN = ("aipl", "customer", "engagement", "tier")


def name_problems(spec: PlaybookSpec) -> Wrong:
    """Yield each use of a tag, stage, segment, event field or machine that cannot be meant."""
    machines = _machines(spec)
    tags = {tag.name: tag for tag in spec.tags}
    for place, node in _walk(spec, ()):
        if isinstance(node, ConditionSpec):
            yield from _read_problems(place, node, tags, machines)
        if isinstance(node, ActionSpec):
            yield from _text_problems(place, node, tags, machines)
        yield from field_problems(place, node)
    for number, tag in enumerate(spec.tags):
        yield from _tag_problems(("tags", number), tag, spec)
    yield from _cap_problems(spec)
    for number, machine in enumerate(spec.stages.machines):
        yield from _machine_problems(("stages", "machines", number), machine)
    if spec.tiers is not None and spec.points is None:
        yield ("tiers",), "has no `points` to go by: add them"
    if spec.rfm.means is None:
        for name in spec.rfm.missing:
            yield ("rfm", name), "is missing; add it, or give `means` in place of all three"
    found = [node.partition(":")[2] for node in circle(spec)]
    if found:
        yield ("tags",), f"are judged in a circle, {' reads '.join(found)}: take one reading out"


def _read_problems(
    place: Place,
    node: ConditionSpec,
    tags: Mapping[str, TagSpec],
    machines: Mapping[str, tuple[str, ...]],
) -> Wrong:
    if node.tag is not None:
        yield from _tag_read_problems((*place, "tag"), node.tag, tags)
    for name in node.segment or ():
        if name not in _SEGMENTS:
            yield (*place, "segment"), unknown(name, "a segment", _SEGMENTS)
    if node.stage is None:
        return
    machine = node.stage.machine
    if machine not in machines:
        yield (*place, "stage", "machine"), unknown(machine, "a stage machine", machines)
        return
    states = dict.fromkeys(machines[machine])
    key = "is" if node.stage.in_ is None else "in"
    for state in node.stage.states:
        if state not in states:
            yield (*place, "stage", key), unknown(state, f"a state of {machine}", states)


def _tag_read_problems(place: Place, check: TagCheckSpec, tags: Mapping[str, TagSpec]) -> Wrong:
    """Yield a tag that nobody gives, or a value that no rule gives it."""
    if check.name not in tags:
        yield place, unknown(check.name, "a tag", tags)
        return
    values = tags[check.name].values
    if values is None:
        return
    # True equals 1 in Python, but not in a playbook.
    known = {(isinstance(each, bool), each) for each in values}
    for key, wanted in compared(check):
        if (isinstance(wanted, bool), wanted) not in known:
            cure = or_rather(str(wanted), dict.fromkeys(map(_spelled, values)))
            yield (*place, key), f"{shown(wanted)} is not a value of {check.name}{cure}"


def _spelled(value: Any) -> str:
    return shown(value) if isinstance(value, bool) else str(value)


def _text_problems(
    place: Place,
    action: ActionSpec,
    tags: Mapping[str, TagSpec],
    machines: Mapping[str, tuple[str, ...]],
) -> Wrong:
    """Yield each place in the action's texts that nothing could ever fill."""
    texts: list[tuple[Place, str]] = [((*place, "sender"), action.sender)]
    texts += [((*place, "params", key), text) for key, text in action.params.items()]
    for at, text in texts:
        for part in parse_text(text):
            if isinstance(part, Placed) and part.source == "tag" and part.name not in tags:
                yield at, unknown(part.name, "a tag", tags)
            if isinstance(part, Placed) and part.source == "stage" and part.name not in machines:
                yield at, unknown(part.name, "a stage machine", machines)


def _walk(node: Any, place: Place) -> Iterator[tuple[Place, BaseModel]]:
    """Yield every mapping of the playbook with its place, as the YAML spells it."""
    if isinstance(node, BaseModel):
        yield place, node
        for name, field in type(node).model_fields.items():
            yield from _walk(getattr(node, name), (*place, field.alias or name))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, (*place, key))
    elif isinstance(node, tuple):
        for number, value in enumerate(node):
            yield from _walk(value, (*place, number))


def _machines(spec: PlaybookSpec) -> dict[str, tuple[str, ...]]:
    """Return the states of each machine that conditions may read."""
    machines: dict[str, tuple[str, ...]] = {"aipl": AIPL[1:], "customer": CUSTOMER}
    if spec.stages.engagement is not None:
        machines["engagement"] = ENGAGEMENT
    if spec.tiers is not None:
        machines["tier"] = tuple(level.name for level in spec.tiers.levels)
    own = {each.name: tuple(state.name for state in each.states) for each in spec.stages.machines}
    return machines | own


def _tag_problems(place: Place, tag: TagSpec, spec: PlaybookSpec) -> Wrong:
    above = spec.tags[: int(place[-1])]
    if tag.group and any(each.group == tag.group and each.held != tag.held for each in above):
        kinds = "one is there while its condition holds, another is given by an event"
        yield (*place, "group"), f"{tag.group!r} mixes two kinds of tags: {kinds}; split it"
    if any(tag.name == other.name for other in above):
        yield (*place, "name"), f"{tag.name!r} is taken by one above: choose another"


def _cap_problems(spec: PlaybookSpec) -> Wrong:
    """Yield each channel by which none of the actions goes that a cap is about."""
    bodies = [body for sop in spec.sops for body in (sop, *sop.previous)]
    actions = [step.action for body in bodies for step in body.steps if step.action]
    for number, cap in enumerate(spec.caps):
        ways = {each.channel: None for each in actions if each.family in cap.families}
        used = {way: None for way in ways if way}
        families = " or ".join(cap.families)
        for position, channel in enumerate(cap.channels if ways else ()):
            if channel not in used:
                cure = or_rather(channel, used) if used else ": give them their `channel`"
                said = f"{shown(channel)} is the channel of no {families}{cure}"
                yield ("caps", number, "channels", position), said


def _machine_problems(place: Place, machine: MachineSpec) -> Wrong:
    if machine.name in BUILT_IN:
        yield (*place, "name"), f"{machine.name!r} is built in: choose another"
    states: dict[str, int] = {}
    for number, state in enumerate(machine.states):
        if states.setdefault(state.name, number) != number:
            yield (
                (*place, "states", number, "name"),
                f"{state.name!r} is there twice: choose another",
            )
    for number, move in enumerate(machine.transitions):
        for key, names in (("from", move.from_ or ()), ("to", (move.to,))):
            for name in names:
                if name not in states:
                    cure = unknown(name, f"a state of {machine.name}", states)
                    yield (*place, "transitions", number, key), cure
