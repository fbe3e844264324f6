"""Funnels as operators write them."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.playbook.base import Duration, EventKind, Name, Spec, Title


class FunnelStepSpec(Spec):
    """One step of a funnel."""

    name: Title
    event: EventKind


class FunnelSpec(Spec):
    """Ordered steps within a window, in milliseconds, counted from the first step.

    ``entry`` tells which entry counts when the first step repeats: a person's ``first``, or the
    ``latest`` that still converts.
    """

    name: Name
    window: Duration
    entry: Literal["first", "latest"] = "latest"
    steps: Annotated[tuple[FunnelStepSpec, ...], Field(min_length=2, max_length=32)]
