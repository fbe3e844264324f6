"""How many people go through ordered steps within a window of time."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sinks.warehouse import Param, Warehouse


@dataclass(frozen=True)
class Step:
    """A step that an event of ``kind`` satisfies."""

    name: str
    kind: str


@dataclass(frozen=True)
class Funnel:
    """Ordered steps that a person must take within ``window_ms`` of the first, inclusive.

    * A person's events are ordered by ``occurred_at``, and ties by their place in the log.
    * One event satisfies one step: three equal steps need three events.
    * The first step may be repeated. With entry ``any``, a person reaches a step if one of the
      entries leads to it in time; with ``first``, only the person's first matching event counts.
    """

    name: str
    steps: tuple[Step, ...]
    window_ms: int
    entry: Literal["any", "first"] = "any"

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"the funnel {self.name!r} has no steps")
        if self.window_ms < 0:
            raise ValueError(f"the funnel {self.name!r} has a window below 0 ms")


class StepResult(NamedTuple):
    """The people who reached a step, and their share of those of the step before and the first.

    A share of nobody is 0.
    """

    name: str
    people: int
    from_previous: float
    from_first: float


@dataclass(frozen=True)
class FunnelResult:
    """The answer, one result for each step."""

    funnel: Funnel
    steps: tuple[StepResult, ...]


# Each person's events are folded in order into `entries`: for each step, the time of the latest
# entry from which that step was reached, or `never`. Later is better, because the window counts
# from the entry, so no other entry needs to be remembered. An event that matches step k carries
# the entry of step k-1 over to k if it is still within the window; it is never earlier than the
# one that k had, because entries only move forward. Every step looks at the entries as they were
# before the event, so one event satisfies one step of a chain.
_PEOPLE_BY_STEP = """
WITH
    {steps:Array(String)} AS steps,
    toInt64({window_ms:UInt64}) AS window_ms,
    -9223372036854775808 AS never
SELECT sumForEach(arrayMap(entry -> toUInt64(entry != never), entries))
FROM
(
    SELECT arrayFold(
        (entries, event) -> arrayMap(
            (k, kind, own, previous) -> multiIf(
                kind != event.4, own,
                k = 1, if({first_only:UInt8} AND own != never, own, event.1),
                previous != never AND event.1 - previous <= window_ms, previous,
                own),
            arrayEnumerate(steps), steps, entries, arrayPopBack(arrayPushFront(entries, never))),
        arraySort(groupArray(
            (toUnixTimestamp64Milli(occurred_at), partition, offset, toString(kind)))),
        arrayMap(kind -> never, steps)) AS entries
    FROM touchpoints FINAL
    WHERE kind IN {steps:Array(String)}
    GROUP BY user_id
)
"""


def run_funnel(warehouse: Warehouse, funnel: Funnel) -> FunnelResult:
    """Count the people who reach each step of ``funnel``, over all touchpoints stored."""
    params: dict[str, Param] = {
        "steps": [step.kind for step in funnel.steps],
        "window_ms": funnel.window_ms,
        "first_only": int(funnel.entry == "first"),
    }
    ((counted,),) = warehouse.query(_PEOPLE_BY_STEP, params)
    people = counted or [0] * len(funnel.steps)  # nobody at all: nothing to sum
    before = [people[0], *people]
    return FunnelResult(
        funnel,
        tuple(
            StepResult(step.name, n, _share(n, previous), _share(n, people[0]))
            for step, n, previous in zip(funnel.steps, people, before, strict=False)
        ),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
