"""The playbook as operators write it: its models, and the reader that names line and cure."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.playbook_errors import (
    Place,
    PlaybookError,
    PlaybookYaml,
    Problem,
    explain,
    spell,
)
from schemas.rules import or_rather, payload_rules
from schemas.shipped import shipped

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_DURATION = re.compile(r"(\d{1,6})([dhms])")


def _milliseconds(value: object) -> int:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write 30d, 12h, 45m or 90s")
    return int(match[1]) * _UNITS[match[2]]


def _known_event(kind: str) -> str:
    kinds = payload_rules()
    if kind not in kinds:
        raise ValueError(f"{kind!r} is not a kind of event{or_rather(kind, kinds)}")
    return kind


Duration = Annotated[int, BeforeValidator(_milliseconds)]
"""Milliseconds; written as a number and a unit."""
EventKind = Annotated[str, AfterValidator(_known_event)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""Lower case words joined by hyphens: it becomes part of ids, topics and rules."""
Title = Annotated[str, Field(min_length=1, max_length=64)]
Version = Annotated[int, Field(strict=True, ge=1, lt=2**31)]
Count = Annotated[int, Field(strict=True, ge=1)]
Minor = Annotated[int, Field(strict=True, ge=0)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RfmSpec(_Spec):
    """The least that scores H on each of recency, frequency and monetary value."""

    recency_days: Annotated[int, Field(strict=True, ge=1, le=36_500)]
    frequency: Count
    monetary_minor: Minor


class AiplSpec(_Spec):
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


class CustomerSpec(_Spec):
    """How long after the first event a person is a new customer."""

    new_for: Duration = 365 * _UNITS["d"]


class StagesSpec(_Spec):
    """The lifecycle stages."""

    aipl: AiplSpec = AiplSpec()
    customer: CustomerSpec = CustomerSpec()


class ActionSpec(_Spec):
    """What a downstream service is asked to do; the family names the topic."""

    family: Literal["message", "lead", "benefit", "tag_sync"]
    template: Title
    sender_role: str = ""
    params: dict[str, str] = {}


class EnterSpec(_Spec):
    """The event that opens a journey, and the condition under which it does."""

    event: EventKind
    when: Literal["always", "first_order"] = "always"


class StepSpec(_Spec):
    """An action, ``after`` the entry event."""

    name: Name
    after: Duration
    action: ActionSpec


class SopSpec(_Spec):
    """A standard operating procedure."""

    name: Name
    version: Version
    enter: EnterSpec
    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1)]
    exit_on: tuple[Literal["second_order", "no_order"], ...] = ()
    entry_age: Duration = 7 * _UNITS["d"]


class FunnelStepSpec(_Spec):
    """One step of a funnel."""

    name: Title
    event: EventKind


class FunnelSpec(_Spec):
    """Ordered steps within a window, in milliseconds, counted from the first step.

    ``entry`` tells which entry counts when the first step repeats: a person's ``first``, or the
    ``latest`` that still converts.
    """

    name: Name
    window: Duration
    entry: Literal["first", "latest"] = "latest"
    steps: Annotated[tuple[FunnelStepSpec, ...], Field(min_length=2, max_length=32)]


class PlaybookSpec(_Spec):
    """A whole playbook; ``docs/playbook.md`` explains each key."""

    name: Name
    version: Version
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    min_order_minor: Minor = 1
    lateness: Duration = 7 * _UNITS["d"]
    dedupe_window: Annotated[int, Field(strict=True, ge=1, le=65_536)] = 256
    rfm: RfmSpec
    stages: StagesSpec = StagesSpec()
    sops: tuple[SopSpec, ...] = ()
    funnels: tuple[FunnelSpec, ...] = ()


def load_playbook(path: Path | str) -> PlaybookSpec:
    """Read and check a playbook.

    Raises:
        PlaybookError: it cannot be used; the message has every problem with its line and cure.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        document = PlaybookYaml(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PlaybookError(path, [Problem(line, "playbook", f"{error.problem}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlaybookError(path, [Problem(1, "playbook", f"is no YAML text: {error}")]) from error
    found = [(place, line, "is here twice") for place, line in document.repeated_keys()]
    spec = None
    try:
        spec = PlaybookSpec.model_validate(document.value)
        wrong = list(_contradictions(spec))
    except ValidationError as error:
        wrong = [explain(each, PlaybookSpec) for each in error.errors(include_url=False)]
    found += [(place, document.line(place), message) for place, message in wrong]
    if found or spec is None:
        problems = [Problem(line, spell(place), message) for place, line, message in found]
        raise PlaybookError(path, sorted(problems, key=lambda each: each.line))
    return spec


def find_playbook(name: str) -> PlaybookSpec:
    """Read the shipped playbook of this name, or the YAML file at this path.

    Raises:
        PlaybookError: it cannot be used.
        OSError: there is no such file.
    """
    if name.endswith((".yaml", ".yml")):
        return load_playbook(name)
    return load_playbook(shipped(f"playbooks/{name}.yaml"))


def _contradictions(spec: PlaybookSpec) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between parts that are each right."""
    yield from _repeats(("sops",), [sop.name for sop in spec.sops])
    yield from _repeats(("funnels",), [funnel.name for funnel in spec.funnels])
    for number, sop in enumerate(spec.sops):
        place: Place = ("sops", number, "steps")
        yield from _repeats(place, [step.name for step in sop.steps])
        for position in range(1, len(sop.steps)):
            if sop.steps[position].after < sop.steps[position - 1].after:
                cure = "is before the step above it: all steps count from the entry, so sort them"
                yield (*place, position, "after"), cure
    staged: dict[str, str] = {}
    for stage, kinds in spec.stages.aipl:
        for kind in kinds:
            if staged.setdefault(kind, stage) != stage:
                at: Place = ("stages", "aipl", stage)
                yield at, f"has {kind!r}, which {staged[kind]} has already: keep one"


def _repeats(place: Place, names: list[str]) -> Iterator[tuple[Place, str]]:
    for position, name in enumerate(names):
        if name in names[:position]:
            yield (*place, position, "name"), f"{name!r} is taken by one above: choose another"
