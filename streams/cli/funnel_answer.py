"""What ``touchline funnel`` answers, as JSON has it, from live rows or from raw touches."""

from typing import Any

import click

from schemas.playbook import PlaybookSpec
from sinks.funnel import FunnelResult, fell_out, funnel_trend, run_funnel, run_funnel_by
from sinks.funnel_live import LiveFunnel, NotLive, live_fell_out, live_trend, run_live
from sinks.funnel_spec import Funnel, Step
from sinks.warehouse import Limits, Warehouse
from streams.cli.asking import checked, period
from streams.funnels import choose_source, describe_source, find_funnel


def query_of(playbook: PlaybookSpec, name: str | None, options: dict[str, Any]) -> Funnel:
    """Return the funnel that the options of the command ask for.

    Raises:
        streams.funnels.UnknownFunnel: the playbook declares no funnel of that name.
        click.UsageError: a funnel of the user's own makes no sense, or the funnel has not the step
            that is asked about.
    """
    zone = options["timezone"] or playbook.timezone
    since, until = period(options["since"], options["until"], zone)
    if name:
        query = find_funnel(playbook, name).between(since, until)
    else:
        query = _own(options, since, until)
    by = options["by"]
    for flag, step in (("--fell-out", options["fell_out"]), ("--by", getattr(by, "step", None))):
        if step is not None and step > len(query.steps):
            raise click.UsageError(f"{flag} {step}: {query.name} has {len(query.steps)} steps")
    return query


def _own(options: dict[str, Any], since: int | None, until: int | None) -> Funnel:
    return checked(
        lambda: Funnel(
            "ad hoc",
            tuple(Step(title, condition) for title, condition in options["steps"]),
            options["window"],
            options["entry"],
            options["order"],
            options["exclusions"],
            since,
            until,
        )
    )


def answer_funnel(
    warehouse: Warehouse, playbook: PlaybookSpec, query: Funnel, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the steps, with what else the options ask for; or the people who fell out.

    Raises:
        sinks.warehouse.WarehouseError: a query failed, or took too long.
        click.UsageError: no such breakdown can be made.
    """
    limits, step = Limits(seconds=options["seconds"]), options["fell_out"]
    source = _source(warehouse, playbook, query, options)
    answer: dict[str, Any] = {"funnel": query.name, "source": describe_source(source)}
    if step:
        count = options["limit"]
        people = (
            live_fell_out(warehouse, source, step, count=count, limits=limits)
            if isinstance(source, LiveFunnel)
            else fell_out(warehouse, query, step, count=count, limits=limits)
        )
        return answer | {"fell_out": [person._asdict() for person in people]}
    whole = (
        run_live(warehouse, source, limits=limits)
        if isinstance(source, LiveFunnel)
        else run_funnel(warehouse, query, share=options["share"], limits=limits)
    )
    answer["steps"] = steps_of(whole)
    if options["share"] < 1:
        answer["sample"] = options["share"]
    if options["by"]:
        parts = checked(lambda: run_funnel_by(warehouse, query, options["by"], limits=limits))
        answer["by"] = [{"value": value, "steps": steps_of(part)} for value, part in parts.items()]
    if options["trend"]:
        zone = options["timezone"] or playbook.timezone
        days = (
            live_trend(warehouse, source, timezone=zone, limits=limits)
            if isinstance(source, LiveFunnel)
            else funnel_trend(warehouse, query, timezone=zone, limits=limits)
        )
        answer["trend"] = [{"day": str(day), "steps": steps_of(part)} for day, part in days.items()]
    return answer


def _source(
    warehouse: Warehouse, playbook: PlaybookSpec, query: Funnel, options: dict[str, Any]
) -> LiveFunnel | NotLive:
    if options["ad_hoc"]:
        return NotLive("as asked")
    if options["by"] or options["share"] < 1:
        return NotLive("live rows know neither breakdowns nor samples")
    return choose_source(warehouse, playbook, query, Limits(seconds=options["seconds"]))


def steps_of(result: FunnelResult) -> list[dict[str, Any]]:
    """Return the steps as JSON has them."""
    return [step._asdict() for step in result.steps]
