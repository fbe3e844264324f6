"""The funnels of a playbook as queries of the warehouse."""

from typing import Any

from processors.zones import instant, local
from schemas.playbook import PlaybookSpec
from schemas.playbook.conditions import PastSpec
from schemas.timezones import load_zone
from sinks.condition import Check, Condition
from sinks.funnel import FunnelResult, run_funnel
from sinks.funnel_live import LiveFunnel, NotLive, find_live, run_live
from sinks.funnel_spec import Exclusion, Funnel, Step
from sinks.warehouse import Limits, Warehouse


class UnknownFunnel(LookupError):  # noqa: N818 - says what is so, like KeyError's own kind
    """The playbook declares no funnel of that name."""


def find_funnel(playbook: PlaybookSpec, name: str) -> Funnel:
    """Return the query of a funnel that the playbook declares: of what the fold applies.

    Raises:
        UnknownFunnel: it declares no funnel of that name; the message has those that it does.
    """
    specs = {spec.name: spec for spec in playbook.funnels}
    if name not in specs:
        raise UnknownFunnel(
            f"playbook {playbook.name} has no funnel {name!r}; it has {', '.join(specs) or 'none'}"
        )
    spec = specs[name]
    return Funnel(
        spec.name,
        tuple(Step(step.name, _condition(step)) for step in spec.steps),
        spec.window,
        spec.entry,
        exclusions=tuple(
            Exclusion(_condition(each), *spec.between(each)) for each in spec.exclusions
        ),
        definition=spec.definition(playbook.timezone, playbook.lateness),
        lateness_ms=playbook.lateness,
    )


def choose_source(
    warehouse: Warehouse, playbook: PlaybookSpec, query: Funnel, limits: Limits | None = None
) -> LiveFunnel | NotLive:
    """Find out whether the rows that the worker keeps can answer the query, or why they cannot.

    Raises:
        sinks.warehouse.WarehouseError: a query failed, or went over its limits.
    """
    if not query.definition:
        return NotLive("the playbook does not name it")
    zone = load_zone(playbook.timezone)
    for bound in (query.since, query.until):
        if bound is not None and instant(local(bound, zone).date(), 0, zone) != bound:
            return NotLive(f"the period does not begin and end with a day of {playbook.timezone}")
    return find_live(warehouse, query, limits=limits)


def count_steps(
    warehouse: Warehouse, query: Funnel, source: LiveFunnel | NotLive, limits: Limits | None = None
) -> FunnelResult:
    """Count the people who reach each step, from live rows where they can tell.

    Raises:
        sinks.warehouse.WarehouseError: the query failed, or went over its limits.
    """
    if isinstance(source, LiveFunnel):
        return run_live(warehouse, source, limits=limits)
    return run_funnel(warehouse, query, limits=limits)


def describe_source(source: LiveFunnel | NotLive) -> dict[str, Any]:
    """Return as JSON has it what an answer is from, and how fresh it is (milliseconds)."""
    if isinstance(source, NotLive):
        return {"from": "raw touches", "why": source.reason}
    return {
        "from": "live rows",
        "moved_at": source.moved_at,
        "touches_until": source.came_at,
        "people_from_raw_touches": len(source.unsure),
    }


def _condition(spec: PastSpec) -> Condition:
    checks = (
        (name, Check.parse(check.model_dump(by_alias=True, exclude_none=True)))
        for name, check in spec.where.items()
    )
    return Condition(spec.event, tuple(checks))
