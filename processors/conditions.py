"""The condition language, compiled once to closures; ``docs/playbook.md`` is its reference."""

from collections.abc import Callable, Iterator

from processors import past
from processors.checks import Matches, compile_check, compile_where, text
from processors.logic import Condition, all_of, any_of, negated, triggered
from schemas.playbook.conditions import AttributeSpec, ConditionSpec, StageSpec, TagCheckSpec
from schemas.profile import Profile
from schemas.records import Touchpoint


def compile_condition(spec: ConditionSpec) -> Condition:
    """Turn a checked condition into one that the fold asks."""
    return all_of(list(_parts(spec)))


def stage_of(profile: Profile, machine: str) -> str:
    """Return the state of a machine, built in or of the playbook; empty before its first."""
    if machine == "aipl":
        return profile.aipl
    if machine == "customer":
        return profile.customer
    return profile.machines.get(machine, "")


def _parts(spec: ConditionSpec) -> Iterator[Condition]:
    if spec.event is not None:
        yield _event(spec)
    for name, compile_part in _LEAVES.items():
        part = getattr(spec, name)
        if part is not None:
            yield compile_part(part)
    if spec.all is not None:
        yield all_of([compile_condition(part) for part in spec.all])
    if spec.any is not None:
        yield any_of([compile_condition(part) for part in spec.any])
    if spec.not_ is not None:
        yield negated(compile_condition(spec.not_))


def _event(spec: ConditionSpec) -> Condition:
    kinds, matches = frozenset(spec.event or ()), compile_where(spec.where)
    fields = tuple(spec.where)

    def holds(_profile: Profile, touchpoint: Touchpoint | None, _now: int) -> bool:
        return (
            touchpoint is not None
            and touchpoint.kind in kinds
            and (matches is None or matches(touchpoint))
        )

    def values(_profile: Profile, touchpoint: Touchpoint | None, _now: int) -> dict[str, str]:
        if touchpoint is None:
            return {"event": ""}
        read = {"event": touchpoint.kind}
        for name in fields:
            value = touchpoint.payload.get(name, getattr(touchpoint, name, None))
            read[f"event.{name}"] = text(value)
        return read

    return Condition(holds, values, triggers=triggered(kinds, matches), asks_event=True)


def _attribute(spec: AttributeSpec) -> Condition:
    name, check = spec.name, compile_check(spec)

    def value(profile: Profile) -> object:
        mark = profile.attributes.get(name)
        return None if mark is None else mark.value

    return Condition(
        holds=lambda profile, _touchpoint, _now: check(value(profile)),
        values=lambda profile, _touchpoint, _now: {f"attribute {name}": text(value(profile))},
        triggers=_attribute_trigger(name),
    )


def _attribute_trigger(name: str) -> dict[str, tuple[Matches | None, ...]]:
    """Return the event that may change this attribute."""
    return triggered(("attribute_set",), lambda touchpoint: touchpoint.payload["name"] == name)


def _tag(spec: TagCheckSpec) -> Condition:
    name, check = spec.name, compile_check(spec)

    def value(profile: Profile) -> object:
        tag = profile.tags.get(name)
        return None if tag is None else tag.value

    return Condition(
        holds=lambda profile, _touchpoint, _now: check(value(profile)),
        values=lambda profile, _touchpoint, _now: {f"tag {name}": text(value(profile))},
        reads=frozenset({f"tag:{name}"}),
    )


def _stage(spec: StageSpec) -> Condition:
    machine, states = spec.machine, frozenset(spec.states)
    return Condition(
        holds=lambda profile, _touchpoint, _now: stage_of(profile, machine) in states,
        values=lambda profile, _touchpoint, _now: {f"stage {machine}": stage_of(profile, machine)},
        reads=frozenset({f"stage:{machine}"}),
    )


def _segment(names: tuple[str, ...]) -> Condition:
    wanted = frozenset(names)
    return Condition(
        holds=lambda profile, _touchpoint, _now: profile.segment in wanted,
        values=lambda profile, _touchpoint, _now: {"segment": profile.segment},
        reads=frozenset({"segment"}),
    )


def _friend(wanted: str) -> Condition:
    def state(profile: Profile) -> str:
        for mark in profile.friends.values():
            if mark.value:
                return "held"
        return "lost" if profile.friends else "none"

    return Condition(
        holds=lambda profile, _touchpoint, _now: state(profile) == wanted,
        values=lambda profile, _touchpoint, _now: {"friend": state(profile)},
        triggers=triggered(("friend_added", "friend_removed")),
    )


_LEAVES: dict[str, Callable[..., Condition]] = {
    "attribute": _attribute,
    "tag": _tag,
    "stage": _stage,
    "segment": _segment,
    "friend": _friend,
    "count": past.count,
    "sum": past.total,
    "not_done": past.not_done,
    "sequence": past.sequence,
}
