"""``touchline ask``: retention, RFM, attribution, referrals, flows, participation, effects."""

from typing import Any

import click

from schemas.playbook import PlaybookSpec, find_playbook
from schemas.segments import SEGMENTS
from sinks.attribution import Attribution, attribution
from sinks.effect import sop_effect
from sinks.flow import participation, stage_flow
from sinks.orders import OrderRules
from sinks.referrals import k_factor, referral_tree
from sinks.retention import Retention, retention
from sinks.rfm_matrix import RfmCuts, rfm_matrix, rfm_movement
from streams.cli.asking import (
    CONDITION,
    DURATION,
    bar,
    instant,
    opened,
    table,
    timezone_option,
)
from streams.cli.output import json_option, load_settings, out, print_json, settings_options
from streams.settings import Settings

DAY = 86_400_000


@click.group()
def ask() -> None:
    """Ask the warehouse: who comes back, who moves where, what brings the money."""


def _settings(options: dict[str, Any]) -> tuple[Settings, PlaybookSpec, str]:
    """Return the settings, the playbook and the time zone, taken out of the options."""
    given = {key: options.pop(key) for key in ("playbook", "warehouse") if key in options}
    settings = load_settings(**given)
    playbook = find_playbook(settings.playbook)
    return settings, playbook, options.pop("timezone", None) or playbook.timezone


def rules_of(playbook: PlaybookSpec) -> OrderRules:
    """Return which orders count under the playbook."""
    return OrderRules(playbook.currency, playbook.min_order_minor)


@ask.command("retention")
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
def _retention(as_json: bool, **options: Any) -> None:
    """Of the people who began in a period, how many came back in each period after."""
    settings, _, zone = _settings(options)
    with opened(settings) as warehouse:
        cohorts = retention(warehouse, Retention(**options, timezone=zone))
    if as_json:
        print_json([each._asdict() | {"start": str(each.start)} for each in cohorts])
        return
    periods = len(cohorts[0].returned) if cohorts else 0
    rows = [
        (str(each.start), each.people, *(f"{n / each.people:.0%}" for n in each.returned))
        for each in cohorts
    ]
    names = ("began", "people", *(str(k) for k in range(periods)))
    out.print(table(f"retention by {options['unit']}", names, rows))


@ask.command()
@settings_options("playbook", "warehouse")
@click.option("--at", "at", required=True, help="As of this day (its end) or time.")
@click.option("--since", help="Show who moved since this day or time instead.")
@timezone_option
@json_option
def rfm(at: str, since: str | None, as_json: bool, **options: Any) -> None:
    """Show the eight RFM segments at a date, or who moved between two."""
    settings, playbook, zone = _settings(options)
    cuts = RfmCuts(*playbook.rfm.cuts())
    later, earlier = _end(at, zone), None if since is None else _end(since, zone)
    with opened(settings) as warehouse:
        if earlier is None:
            cells = rfm_matrix(warehouse, cuts, rules_of(playbook), later)
            answer = [{"letters": letters, **cell._asdict()} for letters, cell in cells.items()]
        else:
            moved = rfm_movement(warehouse, cuts, rules_of(playbook), earlier, later)
            answer = [{"from": a, "to": b, "people": n} for (a, b), n in moved.items()]
    if as_json:
        print_json(answer)
    elif earlier is None:
        rows = [
            (letters, SEGMENTS[letters].name.replace("_", " "), SEGMENTS[letters].chinese, *cell)
            for letters, cell in cells.items()
        ]
        names = ("RFM", "segment", "", "people", "orders", "revenue (minor units)")
        out.print(table(f"RFM at {at}", names, rows))
    else:
        out.print(_flow_table(f"RFM from {since} to {at}", moved))


@ask.command("attribution")
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
def _attribution(since: str | None, until: str | None, as_json: bool, **options: Any) -> None:
    """Put the money of orders down to the touches before them; no minor unit is lost."""
    settings, playbook, zone = _settings(options)
    bounds = {"since": instant(since, zone), "until": instant(until, zone)}
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
    out.print(table(f"attribution, {question.model} touch", names, rows))


@ask.command()
@settings_options("playbook", "warehouse")
@click.option("--since", required=True, help="Begin of the period of the K factor.")
@click.option("--until", required=True, help="Its end, exclusive.")
@click.option("--limit", type=int, default=20, show_default=True, help="Rows of the table.")
@timezone_option
@json_option
def referrals(since: str, until: str, limit: int, as_json: bool, **options: Any) -> None:
    """Show the K factor of a period, and who brought the most people, directly or not."""
    settings, _, zone = _settings(options)
    begin, end = instant(since, zone) or 0, instant(until, zone) or 0
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
    out.print(table("referral tree", names, rows))


@ask.command()
@settings_options("playbook", "warehouse")
@click.option("--since", required=True, help="The earlier day (its end) or time.")
@click.option("--at", "at", required=True, help="The later one.")
@click.option("--machine", default="aipl", show_default=True, help="The stage machine.")
@timezone_option
@json_option
def flow(since: str, at: str, machine: str, as_json: bool, **options: Any) -> None:
    """Show who moved from which stage to which between two dates."""
    settings, _, zone = _settings(options)
    with opened(settings) as warehouse:
        moved = stage_flow(warehouse, _end(since, zone), _end(at, zone), machine=machine)
    if as_json:
        print_json([{"from": a, "to": b, "people": n} for (a, b), n in moved.items()])
    else:
        out.print(_flow_table(f"{machine} from {since} to {at}", moved))


@ask.command("participation")
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
def _participation(since: str, until: str, as_json: bool, **options: Any) -> None:
    """Show the share of a target group who took part in an activity (活动参与率)."""
    settings, _, zone = _settings(options)
    begin, end = instant(since, zone) or 0, instant(until, zone) or 0
    with opened(settings) as warehouse:
        answer = participation(warehouse, options["group"], options["activity"], begin, end)
    if as_json:
        print_json(answer._asdict())
    else:
        out.print(f"{answer.took_part:,} of {answer.group:,} took part: {answer.rate:.1%}")


@ask.command()
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
def effect(sop: str, goal: Any, window: int, as_json: bool, **options: Any) -> None:
    """Show what an SOP brings against the people who are held out."""
    settings, _, _ = _settings(options)
    with opened(settings) as warehouse:
        answer = sop_effect(warehouse, sop, goal, window)
    if as_json:
        arms = {name: getattr(answer, name)._asdict() for name in ("treated", "held_out")}
        print_json(answer._asdict() | arms)
        return
    rows = [
        (name, arm.people, arm.converted, f"{arm.rate:.2%}", bar(arm.rate, 1))
        for name, arm in (("treated", answer.treated), ("held out", answer.held_out))
    ]
    out.print(table(f"effect of {sop}", ("arm", "people", "converted", "rate", ""), rows))
    sure = "" if answer.low <= 0 <= answer.high else ", not by chance"
    out.print(
        f"lift {answer.lift:+.2%}, 95 % between {answer.low:+.2%} and {answer.high:+.2%}{sure}",
        highlight=False,
    )


def _end(text: str, zone: str) -> int:
    """Return the last millisecond of a day, or the instant of a time."""
    found = instant(text, zone) or 0
    return found if "T" in text or ":" in text else found + DAY - 1


def _flow_table(title: str, moved: dict[tuple[str, str], int]) -> Any:
    after = sorted({b for _, b in moved})
    before = sorted({a for a, _ in moved})
    rows = [(a or "(none)", *(moved.get((a, b), 0) for b in after)) for a in before]
    return table(title, ("from \\ to", *(b or "(none)" for b in after)), rows)
