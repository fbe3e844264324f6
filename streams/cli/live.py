"""``touchline live``: what happens now, by minute, and the business by day."""

import time
from datetime import datetime
from typing import Any

import click
from rich.table import Table

from schemas.playbook import find_playbook
from schemas.timezones import load_zone
from sinks.live import Figures, Live, LiveRules, live_from_raw
from sinks.live import live as ask_live
from streams.cli.asking import bar, opened, period, table, timezone_option
from streams.cli.output import json_option, load_settings, print_json, settings_options, show
from streams.cli.question import rules_of

HOUR, DAY = 3_600_000, 86_400_000


@click.command()
@settings_options("playbook", "warehouse")
@click.option(
    "--unit",
    type=click.Choice(["minute", "day"]),
    default="minute",
    show_default=True,
    help="minute: when the log took the touch; day: when it occurred, in the playbook's zone.",
)
@click.option(
    "--dimension",
    type=click.Choice(["all", "channel", "campaign", "stage", "segment"]),
    default="all",
    show_default=True,
)
@click.option("--since", help="Windows from this day or time on.  [default: 1 hour, or 7 days]")
@click.option("--until", help="Windows before this day or time.  [default: now]")
@click.option("--ad-hoc", is_flag=True, help="From the raw log, not from what workers keep.")
@timezone_option
@json_option
def live(as_json: bool, ad_hoc: bool, **options: Any) -> None:
    """Show touches, people, orders and revenue by minute for the last hour, or by day.

    People are those of the window: they do not add up over windows. Days are the playbook's;
    --timezone says how times are read and shown.
    """
    settings = load_settings(**{key: options.pop(key) for key in ("playbook", "warehouse")})
    playbook = find_playbook(settings.playbook)
    zone = options["timezone"] or playbook.timezone
    unit = options["unit"]
    since, until = period(options["since"], options["until"], zone)
    until = until or int(time.time() * 1000) + 1
    if since is None:
        since = until - (HOUR if unit == "minute" else 7 * DAY)
    question = Live(unit, since, until, options["dimension"])
    with opened(settings) as warehouse:
        found = (
            live_from_raw(
                warehouse,
                question,
                LiveRules(rules_of(playbook), playbook.lateness, playbook.timezone),
            )
            if ad_hoc
            else ask_live(warehouse, question)
        )
    if as_json:
        print_json([figures._asdict() for figures in found])
    else:
        show(_table(found, question, playbook.currency, zone))


def _table(found: list[Figures], question: Live, currency: str, zone: str) -> Table:
    most = max((figures.touches for figures in found), default=0)
    form = "%Y-%m-%d %H:%M" if question.grain == "minute" else "%Y-%m-%d"
    rows = [
        (
            datetime.fromtimestamp(each.start / 1000, load_zone(zone)).strftime(form),
            *(() if question.dimension == "all" else (each.value or "(none)",)),
            *each[2:],
            bar(each.touches, most),
        )
        for each in found
    ]
    by = () if question.dimension == "all" else (question.dimension,)
    measures = ("touches", "people", "new people", "orders", f"revenue ({currency} minor)", "")
    return table(f"live by {question.grain} ({zone})", (question.grain, *by, *measures), rows)
