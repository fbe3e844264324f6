"""``touchline board``: the AARRR board of a period, with the period before."""

from datetime import date, timedelta
from typing import Any

import click

from schemas.money import written
from schemas.playbook import find_playbook
from sinks.board import Board, Metric
from sinks.board import board as ask_board
from sinks.sales import by_product, by_refund_reason
from streams.cli.asking import DURATION, instant, opened, table, timezone_option
from streams.cli.output import json_option, load_settings, print_json, settings_options, show
from streams.cli.question import rules_of


@click.command()
@settings_options("playbook", "warehouse")
@click.option(
    "--unit", type=click.Choice(["day", "week", "month"]), default="month", show_default=True
)
@click.option("--of", "day", help="A day of the period, such as 2024-03-01; default: today.")
@click.option("--silent-after", type=DURATION, default="30d", show_default=True)
@click.option("--cost", type=click.IntRange(min=0), help="What acquisition cost, in minor units.")
@click.option("--cost-before", type=click.IntRange(min=0), help="The same, the period before.")
@timezone_option
@json_option
def board(unit: str, day: str | None, as_json: bool, **options: Any) -> None:
    """Show the measures of acquisition, operation, conversion, revenue and referral.

    Costs are not in the log: cost of acquisition and ROI need --cost.
    """
    settings = load_settings(**{key: options.pop(key) for key in ("playbook", "warehouse")})
    playbook = find_playbook(settings.playbook)
    zone = options["timezone"] or playbook.timezone
    try:
        of = date.fromisoformat(day) if day else date.today()  # noqa: DTZ011 - the user's today
    except ValueError as error:
        raise click.UsageError(f"--of: {error}") from error
    starts = [str(start) for start in periods(of, unit)]
    before, since, until = (instant(start, zone) or 0 for start in starts)
    rules = rules_of(playbook)
    question = Board(
        since, until, before, rules,
        options["silent_after"], options["cost"], options["cost_before"],
    )  # fmt: skip
    with opened(settings) as warehouse:
        metrics = ask_board(warehouse, question)
        products = by_product(warehouse, rules, since, until)
        reasons = by_refund_reason(warehouse, rules, since, until)
    if as_json:
        lines = [metric._asdict() for metric in metrics]
        parts = {"products": products, "refund_reasons": reasons}
        print_json(
            {"since": since, "until": until, "before": before, "metrics": lines}
            | {name: [part._asdict() for part in found] for name, found in parts.items()}
        )
        return
    title = f"{starts[1]} to before {starts[2]} ({zone}), with the {unit} before"
    rows = [
        (metric.phase, metric.name.replace("_", " "), *_cells(metric, playbook.currency))
        for metric in metrics
    ]
    drawn = table(title, ("phase", "measure", "value", "before", "change"), rows)
    drawn.columns[1].justify = "left"
    show(drawn)
    for name, found in (("product", products), ("reason of refunds", reasons)):
        names = (name, "people", "orders", f"{playbook.currency} minor units")
        show(table("", names, [(part.name or "(none)", *part[1:]) for part in found]))


def periods(of: date, unit: str) -> tuple[date, date, date]:
    """Return where the period before, the day's own period and the one after it begin."""
    if unit == "month":
        since = of.replace(day=1)
        until = (since + timedelta(days=31)).replace(day=1)
        return (since - timedelta(days=1)).replace(day=1), since, until
    length = timedelta(days=7 if unit == "week" else 1)
    since = of - timedelta(days=of.weekday()) if unit == "week" else of
    return since - length, since, since + length


def _cells(metric: Metric, currency: str) -> tuple[str, str, str]:
    change = ""
    if metric.value is not None and metric.before:
        change = f"{metric.value / metric.before - 1:+.1%}"
    return _shown(metric, metric.value, currency), _shown(metric, metric.before, currency), change


def _shown(metric: Metric, value: float | None, currency: str) -> str:
    if value is None:
        return "-"
    match metric.unit:
        case "share":
            return f"{value:.1%}"
        case "ratio":
            return f"{value:,.3f}"
        case "money":
            return written(value, currency)
    return f"{value:,.0f}"
