"""Lifecycle stages as operators write them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.playbook.base import DAY, Duration, EventKind, EventKinds, Name, Names, Spec
from schemas.playbook.conditions import ConditionSpec

_ACTIVE = (
    "link_scanned",
    "friend_added",
    "group_joined",
    "message_received",
    "content_shared",
    "referral_made",
    "activity_attended",
    "trial_started",
    "trial_finished",
    "order_paid",
)


class AiplSpec(Spec):
    """Which touches give a stage; purchase, and loyalty by repurchase, come from the orders."""

    awareness: tuple[EventKind, ...] = ("page_viewed",)
    interest: tuple[EventKind, ...] = (
        "link_scanned",
        "friend_added",
        "group_joined",
        "message_received",
        "activity_attended",
        "trial_started",
        "trial_finished",
    )
    loyalty: tuple[EventKind, ...] = ("content_shared", "referral_made")


class CustomerSpec(Spec):
    """How long after the first event a person is a new customer."""

    new_for: Duration = 365 * DAY


class EngagementSpec(Spec):
    """Silent and lost, by the clock alone: the machine ``engagement``.

    Silent is a person without an ``active`` touch for longer than ``silent_after``; lost is one
    without for longer than ``lost_after``, or whose last friend among the staff is gone.
    """

    active: EventKinds = _ACTIVE
    silent_after: Duration
    lost_after: Duration

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lost_after <= self.silent_after:
            raise ValueError("has a lost_after that is not longer than silent_after: make it so")
        return self


class StateSpec(Spec):
    """A state of a machine and, unless transitions lead to it, the condition that gives it."""

    name: Name
    when: ConditionSpec | None = None


class TransitionSpec(Spec):
    """A way from some states to another one; without ``from``, from any."""

    from_: Annotated[Names | None, Field(alias="from")] = None
    to: Name
    when: ConditionSpec


class MachineSpec(Spec):
    """A stage machine of the operator: a ladder of conditions, or states and transitions.

    Without ``transitions`` it is a ladder: the person is in the last state whose ``when`` holds,
    and falls back when it no longer does. With them, the person starts in the first state and
    moves only as they say.
    """

    name: Name
    states: Annotated[tuple[StateSpec, ...], Field(min_length=2, max_length=32)]
    transitions: Annotated[tuple[TransitionSpec, ...], Field(max_length=256)] = ()

    @property
    def node(self) -> str:
        """What it gives, among all rules."""
        return f"stage:{self.name}"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        asked = [state.name for state in self.states if state.when is not None]
        if self.transitions and asked:
            raise ValueError(f"has transitions, so the state {asked[0]!r} takes no `when`: drop it")
        if self.transitions:
            return self
        first, *others = self.states
        bare = [state.name for state in others if state.when is None]
        if first.when is not None:
            raise ValueError(f"begins in {first.name!r}, which therefore takes no `when`: drop it")
        if bare:
            raise ValueError(f"never comes to {bare[0]!r}: add its `when`, or use `transitions`")
        events = [state.name for state in others if state.when and state.when.asks_event()]
        if events:
            raise ValueError(
                f"has an `event` in the `when` of {events[0]!r}, which is over at once: write "
                "count: {event: ..., at_least: 1}, or use `transitions`"
            )
        return self


class StagesSpec(Spec):
    """The lifecycle stages."""

    aipl: AiplSpec = AiplSpec()
    customer: CustomerSpec = CustomerSpec()
    engagement: EngagementSpec | None = None
    machines: Annotated[tuple[MachineSpec, ...], Field(max_length=32)] = ()
