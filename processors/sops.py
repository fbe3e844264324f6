"""SOPs, compiled: what opens a journey, its steps by version, and what ends it early."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from processors.conditions import compile_condition
from processors.consents import EVERY_CHANNEL, permitted
from processors.fill import Filled, compile_text
from processors.limits import Quiet
from processors.logic import Condition, any_of, triggered
from processors.outreach import compile_quiet
from schemas.playbook.sops import END, ActionSpec, BodySpec, SopSpec, StepSpec, YearlySpec
from schemas.profile import Profile
from schemas.records import Touchpoint


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """The action of a step, with its texts still to be filled."""

    family: str
    template: str
    sender_role: str
    channel: str
    sender: Filled
    purpose: str
    needs_confirmation: bool
    expires_after: int
    params: tuple[tuple[str, Filled], ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits for a condition until the timeout, then goes on at one step or the other."""

    condition: Condition
    timeout: int
    then: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``then`` is the next one, or ``end``. Times are milliseconds.

    Attributes:
        after: From the entry; None if the time counts otherwise.
        delay: From the arrival at the step.
        days: Calendar days from the entry; None likewise.
        on: The absolute local date; None likewise.
        yearly: The attribute whose anniversary it is; empty likewise.
        at: Minute of the local day to move on to; None to stay.
        returns: Whether a journey may come to it more than once.
        watched: Holds when one of the exits does, or what the step waits for; until then nothing
            but the clock moves a journey that is here.
    """

    name: str
    after: int | None
    delay: int
    days: int | None
    on: date | None
    yearly: str
    at: int | None
    guard: Condition | None
    action: ActionPlan | None
    wait: Wait | None
    then: str
    returns: bool
    watched: Condition


class Exit(NamedTuple):
    """What ends a journey early: the reason, its key in the SOP, and when."""

    name: str
    key: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Body:
    """One version of what happens inside a journey."""

    first: str
    steps: Mapping[str, Step]
    exits: tuple[Exit, ...]
    max_visits: int


@dataclass(frozen=True, slots=True)
class Sop:
    """A standard operating procedure.

    Attributes:
        kinds: Kinds of events that may open a journey; empty where ``condition`` does, by its edge.
        condition: What must hold beside the event, or become true without one.
        first_order: Whether the event must bring the count of orders from 0 to 1.
        pause: How long after its end a person may enter again; None for never.
        quiet: Quiet hours of its own; None for those of the playbook.
        bodies: The present version and earlier ones that people may still be inside.
        migrations: By old version, the new step for each old one.
    """

    name: str
    version: int
    priority: int
    kinds: frozenset[str]
    condition: Condition | None
    first_order: bool
    entry_age: int
    pause: int | None
    quiet: Quiet | None
    at_any_hour: bool
    bodies: Mapping[int, Body]
    migrations: Mapping[int, Mapping[str, str]]

    def watches(self, kind: str) -> bool:
        """Tell whether an event of the kind may by itself move a journey that is somewhere."""
        steps = [step for body in self.bodies.values() for step in body.steps.values()]
        return any(step.watched.denies_event or kind in step.watched.triggers for step in steps)

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition in it."""
        if self.condition:
            yield self.condition
        for body in self.bodies.values():
            yield from (each.condition for each in body.exits)
            for step in body.steps.values():
                if step.guard:
                    yield step.guard
                if step.wait:
                    yield step.wait.condition


def compile_sop(spec: SopSpec, opt_out: Mapping[str, bool]) -> Sop:
    """Turn a checked SOP into the one that the fold runs.

    Args:
        spec: The SOP.
        opt_out: By purpose, whether silence means yes.
    """
    return Sop(
        name=spec.name,
        version=spec.version,
        priority=spec.priority,
        kinds=frozenset(spec.enter.event or ()),
        condition=compile_condition(asked) if (asked := spec.enter.asked) else None,
        first_order=spec.enter.when == "first_order",
        entry_age=spec.entry_age,
        pause=spec.reentry,
        quiet=compile_quiet(spec.quiet_hours, f"sops.{spec.name}.quiet_hours"),
        at_any_hour=spec.at_any_hour,
        bodies={body.version: _body(body, opt_out) for body in (*spec.previous, spec)},
        migrations={way.from_: dict(way.steps) for way in spec.migrate},
    )


def _body(spec: BodySpec, opt_out: Mapping[str, bool]) -> Body:
    asked = {
        (step.action.purpose, step.action.channel)
        for step in spec.steps
        if step.action and step.action.purpose
    }
    named = NAMED_EXITS | {"consent_withdrawn": _withdrawn(asked, opt_out)}
    exits = [Exit("goal", "goal", compile_condition(spec.goal))] if spec.goal else []
    exits += [Exit(name, "exit_on", named[name]) for name in spec.exit_on]
    exits += [
        Exit(name, f"exit_if.{name}", compile_condition(condition))
        for name, condition in spec.exit_if.items()
    ]
    following = [step.name for step in spec.steps[1:]] + [END]
    names = [step.name for step in spec.steps]
    ways = {step.name: _ways(step, name) for step, name in zip(spec.steps, following, strict=True)}
    return Body(
        first=names[0],
        steps={
            step.name: _step(step, ways, [each.condition for each in exits]) for step in spec.steps
        },
        exits=tuple(exits),
        max_visits=spec.max_visits,
    )


def reach(body: Body, name: str) -> set[str]:
    """Return the step of this name and every step that may come after it; none for ``end``."""
    steps = body.steps.values()
    ways = {step.name: (step.then, step.wait.otherwise if step.wait else END) for step in steps}
    return set() if name == END else {name, *_beyond(name, ways)}


def _ways(step: StepSpec, following: str) -> tuple[str, str]:
    """Return where the step leads: when it is done, or a wait is met; and when a wait is over."""
    if step.wait is None:
        return step.then or following, step.then or following
    return step.wait.then or following, step.wait.else_ or following


def _beyond(name: str, ways: Mapping[str, tuple[str, str]]) -> set[str]:
    """Return every step that may come after the one of this name."""
    reached: set[str] = set()
    waiting = list(ways[name])
    while waiting:
        step = waiting.pop()
        if step != END and step not in reached:
            reached.add(step)
            waiting += ways[step]
    return reached


def _step(spec: StepSpec, ways: Mapping[str, tuple[str, str]], exits: list[Condition]) -> Step:
    wait = None
    if spec.wait:
        wait = Wait(compile_condition(spec.wait.for_), spec.wait.timeout, *ways[spec.name])
    return Step(
        name=spec.name,
        after=spec.after,
        delay=spec.delay or 0,
        days=spec.days,
        on=spec.date if isinstance(spec.date, date) else None,
        yearly=spec.date.attribute if isinstance(spec.date, YearlySpec) else "",
        at=spec.at,
        guard=compile_condition(spec.only_if) if spec.only_if else None,
        action=_action(spec.action) if spec.action else None,
        wait=wait,
        then=ways[spec.name][0],
        returns=spec.name in _beyond(spec.name, ways),
        watched=any_of([*exits, wait.condition] if wait else exits),
    )


def _action(spec: ActionSpec) -> ActionPlan:
    return ActionPlan(
        family=spec.family,
        template=spec.template,
        sender_role=spec.sender_role,
        channel=spec.channel,
        sender=compile_text(spec.sender),
        purpose=spec.purpose,
        needs_confirmation=spec.needs_confirmation,
        expires_after=spec.expires_after or 0,
        params=tuple((name, compile_text(source)) for name, source in spec.params.items()),
    )


def _of_orders(holds: Callable[[Profile], bool]) -> Condition:
    return Condition(
        holds=lambda profile, _touchpoint, _now: holds(profile),
        values=lambda profile, _touchpoint, _now: {"frequency": str(profile.frequency)},
        triggers=triggered(frozenset({"order_paid", "order_refunded"})),
    )


def _on_event(kind: str, holds: Callable[[Profile, Touchpoint], bool]) -> Condition:
    return Condition(
        holds=lambda profile, touchpoint, _now: (
            touchpoint is not None and touchpoint.kind == kind and holds(profile, touchpoint)
        ),
        values=lambda _profile, touchpoint, _now: {
            "event": touchpoint.kind if touchpoint else "",
            "staff": touchpoint.staff if touchpoint else "",
        },
        triggers=triggered(frozenset({kind})),
        asks_event=True,
    )


def _no_longer_friends(profile: Profile, touchpoint: Touchpoint) -> bool:
    # A removal that arrives after a newer friendship undoes nothing.
    mark = profile.friends.get(touchpoint.staff)
    return mark is None or not mark.value


NAMED_EXITS: dict[str, Condition] = {
    "second_order": _of_orders(lambda profile: profile.frequency > 1),
    "no_order": _of_orders(lambda profile: profile.frequency == 0),
    "friend_removed": _on_event("friend_removed", _no_longer_friends),
    "refunded": _on_event("order_refunded", lambda _profile, _touchpoint: True),
}
"""Conditions of ``exit_on`` that are the same for every SOP."""


def _withdrawn(asked: set[tuple[str, str]], opt_out: Mapping[str, bool]) -> Condition:
    """Return the condition of a word that forbids one of the SOP's purposes on its channel."""

    def forbids(profile: Profile, touchpoint: Touchpoint) -> bool:
        word = touchpoint.payload
        return not word["granted"] and any(
            purpose == word["purpose"]
            and word["on_channel"] in {channel, EVERY_CHANNEL}
            and not permitted(profile, purpose, channel, opt_out)
            for purpose, channel in sorted(asked)
        )

    return _on_event("consent_changed", forbids)
