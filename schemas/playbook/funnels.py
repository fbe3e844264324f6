"""Funnels as operators write them."""

import json
from hashlib import blake2b
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.playbook.base import Duration, Name, Spec, Title
from schemas.playbook.conditions import PastSpec

_KEPT = 2
"""How progress is kept: with another number all of it begins anew."""


class FunnelStepSpec(PastSpec):
    """One step of a funnel: an event of these kinds whose fields pass the checks."""

    name: Title


class FunnelExclusionSpec(PastSpec):
    """What must not come between two steps, which are counted from 1; ``before`` is the last."""

    after: Annotated[int, Field(strict=True, ge=1)] = 1
    before: Annotated[int | None, Field(strict=True, ge=2)] = None


class FunnelSpec(Spec):
    """Ordered steps within a window, in milliseconds, counted from the first step.

    ``entry`` tells which entry counts when the first step repeats: a person's ``first``, or the
    ``latest`` that still converts.
    """

    name: Name
    window: Duration
    entry: Literal["first", "latest"] = "latest"
    steps: Annotated[tuple[FunnelStepSpec, ...], Field(min_length=2, max_length=16)]
    exclusions: Annotated[tuple[FunnelExclusionSpec, ...], Field(max_length=5)] = ()

    @model_validator(mode="after")
    def _exclusions_lie_between_steps(self) -> Self:
        for exclusion in self.exclusions:
            after, before = self.between(exclusion)
            if not after < before <= len(self.steps):
                raise ValueError(
                    f"excludes what comes between the steps {after} and {before}: write two of the "
                    f"steps 1 to {len(self.steps)}, the earlier one as `after`"
                )
        return self

    def between(self, exclusion: FunnelExclusionSpec) -> tuple[int, int]:
        """Return the steps, counted from 1, between which the exclusion holds."""
        return exclusion.after, exclusion.before or len(self.steps)

    def definition(self, timezone: str, lateness: int) -> str:
        """Return the digest of what is counted: funnels that count the same have the same.

        Names are not part of it. The playbook's time zone and lateness are: they say which day an
        entry is on, and which touches are too late to count.
        """
        counted = [
            [condition_key(step) for step in self.steps],
            [[condition_key(each), *self.between(each)] for each in self.exclusions],
            [self.window, self.entry, timezone, lateness],
            _KEPT,
        ]
        return blake2b(json.dumps(counted).encode(), digest_size=8).hexdigest()


def condition_key(spec: PastSpec) -> str:
    """Return the text that two conditions share if they ask the same."""
    include = {"event", "where"}
    asked = spec.model_dump(mode="json", by_alias=True, exclude_none=True, include=include)
    return json.dumps(asked, sort_keys=True)
