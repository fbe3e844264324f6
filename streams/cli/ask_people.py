"""``touchline ask`` about people: who comes back, who brings others, who takes part."""

from datetime import date, datetime
from typing import Any

import click

from schemas.timezones import load_zone
from sinks.flow import participation
from sinks.referrals import k_factor, referral_tree
from sinks.retention import Cohort, Retention, Unit, retention
from streams.cli.asking import CONDITION, opened, period, table, timezone_option
from streams.cli.output import json_option, out, print_json, settings_options, show
from streams.cli.question import asked_under


@click.command("retention")
@settings_options("playbook", "warehouse")
@click.option(
    "--begins",
    type=CONDITION,
    default="order_paid",
    show_default=True,
    help="A person's first such event opens the cohort.",
)
@click.option("--returns", type=CONDITION, default="order_paid", show_default=True)
@click.option(
    "--unit", type=click.Choice(["day", "week", "month"]), default="month", show_default=True
)
@click.option("--periods", type=click.IntRange(1, 400), default=12, show_default=True)
@timezone_option
@json_option
def ask_retention(as_json: bool, **options: Any) -> None:
    """Of the people who began in a period, how many came back in each period after."""
    settings, _, zone = asked_under(options)
    with opened(settings) as warehouse:
        cohorts = retention(warehouse, Retention(**options, timezone=zone))
    today = datetime.now(load_zone(zone)).date()
    cohorts = [begun(cohort, options["unit"], today) for cohort in cohorts]
    if as_json:
        print_json([each._asdict() | {"start": str(each.start)} for each in cohorts])
        return
    periods = max((len(each.returned) for each in cohorts), default=0)
    rows = []
    for each in cohorts:
        shares = [f"{n / each.people:.0%}" for n in each.returned]
        rows.append((str(each.start), each.people, *shares, *[""] * (periods - len(shares))))
    names = ("began", "people", *(str(k) for k in range(periods)))
    show(table(f"retention by {options['unit']}", names, rows))


def begun(cohort: Cohort, unit: Unit, today: date) -> Cohort:
    """Return a cohort without the periods that have not begun: nobody can have come back yet."""
    start = cohort.start
    months = (today.year - start.year) * 12 + today.month - start.month
    days = (today - start).days
    last = {"day": days, "week": days // 7, "month": months}[unit]
    return cohort._replace(returned=cohort.returned[: last + 1])


@click.command("referrals")
@settings_options("playbook", "warehouse")
@click.option("--since", required=True, help="Begin of the period of the K factor.")
@click.option("--until", required=True, help="Its end, exclusive.")
@click.option("--limit", type=int, default=20, show_default=True, help="Rows of the table.")
@timezone_option
@json_option
def ask_referrals(since: str, until: str, limit: int, as_json: bool, **options: Any) -> None:
    """Show the K factor of a period, and who brought the most people, directly or not."""
    settings, _, zone = asked_under(options)
    begin, end = (bound or 0 for bound in period(since, until, zone))
    with opened(settings) as warehouse:
        factor, tree = k_factor(warehouse, begin, end), referral_tree(warehouse)
    if as_json:
        print_json({"k": factor._asdict(), "tree": [person._asdict() for person in tree]})
        return
    out.print(
        f"K = {factor.k:.3f}: {factor.by_referral:,} of {factor.new:,} new people by referral; "
        f"{factor.existing:,} were there before",
        highlight=False,
    )
    rows = [
        (p.user_id, p.parent or "(by themselves)", p.generation, p.children, p.descendants)
        for p in tree[:limit]
    ]
    names = ("person", "brought by", "generation", "children", "descendants")
    show(table("referral tree", names, rows))


@click.command("participation")
@settings_options("playbook", "warehouse")
@click.option(
    "--group",
    type=CONDITION,
    required=True,
    help="Who is meant: 'group_joined{community: spring}'.",
)
@click.option("--activity", type=CONDITION, default="activity_attended", show_default=True)
@click.option("--since", required=True)
@click.option("--until", required=True)
@timezone_option
@json_option
def ask_participation(since: str, until: str, as_json: bool, **options: Any) -> None:
    """Show the share of a target group who took part in an activity (活动参与率)."""
    settings, _, zone = asked_under(options)
    begin, end = (bound or 0 for bound in period(since, until, zone))
    with opened(settings) as warehouse:
        answer = participation(warehouse, options["group"], options["activity"], begin, end)
    if as_json:
        print_json(answer._asdict())
    else:
        out.print(f"{answer.took_part:,} of {answer.group:,} took part: {answer.rate:.1%}")
