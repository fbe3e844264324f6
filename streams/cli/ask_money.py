"""``touchline ask`` about money: what brings it, and what an SOP adds."""

from typing import Any

import click

from sinks.attribution import Attribution, attribution
from sinks.effect import sop_effect
from streams.cli.asking import (
    CONDITION,
    DURATION,
    bar,
    opened,
    period,
    table,
    timezone_option,
)
from streams.cli.output import json_option, out, print_json, settings_options, show
from streams.cli.question import asked_under, check_known, rules_of


@click.command("attribution")
@settings_options("playbook", "warehouse")
@click.option(
    "--field",
    type=click.Choice(["channel", "source", "campaign"]),
    default="channel",
    show_default=True,
)
@click.option(
    "--model",
    type=click.Choice(["first", "last", "linear", "position"]),
    default="last",
    show_default=True,
    help="position: 40 % first, 20 % middle, 40 % last.",
)
@click.option("--lookback", "lookback_ms", type=DURATION, default="30d", show_default=True)
@click.option("--since", help="Orders from this day or time on.")
@click.option("--until", help="Orders before this day or time.")
@timezone_option
@json_option
def ask_attribution(since: str | None, until: str | None, as_json: bool, **options: Any) -> None:
    """Put the money of orders down to the touches before them; no minor unit is lost."""
    settings, playbook, zone = asked_under(options)
    bounds = dict(zip(("since", "until"), period(since, until, zone), strict=True))
    question = Attribution(**options | {k: v for k, v in bounds.items() if v is not None})
    with opened(settings) as warehouse:
        credits_ = attribution(warehouse, question, rules_of(playbook))
    if as_json:
        print_json([credit._asdict() for credit in credits_])
        return
    most = max((credit.revenue_minor for credit in credits_), default=0)
    rows = [
        (c.value or "(none)", c.revenue_minor, f"{c.orders:,.1f}", bar(c.revenue_minor, most))
        for c in credits_
    ]
    names = (question.field, f"revenue ({playbook.currency} minor)", "orders", "")
    show(table(f"attribution, {question.model} touch", names, rows))


@click.command("effect")
@click.argument("sop")
@settings_options("playbook", "warehouse")
@click.option("--goal", type=CONDITION, default="order_paid", show_default=True)
@click.option(
    "--window",
    type=DURATION,
    default="30d",
    show_default=True,
    help="From the first step that acts, or would have.",
)
@json_option
def ask_effect(sop: str, goal: Any, window: int, as_json: bool, **options: Any) -> None:
    """Show what an SOP brings against the people who are held out."""
    settings, playbook, _ = asked_under(options)
    with opened(settings) as warehouse:
        answer = sop_effect(warehouse, sop, goal, window)
    if not answer.treated.people + answer.held_out.people:
        check_known("SOP", sop, [each.name for each in playbook.sops])
    if as_json:
        arms = {name: getattr(answer, name)._asdict() for name in ("treated", "held_out")}
        print_json(answer._asdict() | arms)
        return
    rows = [
        (name, arm.people, arm.converted, f"{arm.rate:.2%}", bar(arm.rate, 1))
        for name, arm in (("treated", answer.treated), ("held out", answer.held_out))
    ]
    show(table(f"effect of {sop}", ("arm", "people", "converted", "rate", ""), rows))
    sure = "" if answer.low <= 0 <= answer.high else ", not by chance"
    out.print(
        f"lift {answer.lift:+.2%}, 95 % between {answer.low:+.2%} and {answer.high:+.2%}{sure}",
        highlight=False,
    )
