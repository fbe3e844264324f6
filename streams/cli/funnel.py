"""``touchline funnel``: how many people took each step, of the playbook's funnels or ad hoc."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from schemas.playbook import find_playbook
from schemas.timezones import load_zone
from sinks.funnel_spec import Breakdown, Exclusion, StepField, Touch
from streams.cli.asking import (
    DURATION,
    NAMED,
    Written,
    named_condition,
    opened,
    timezone_option,
)
from streams.cli.chart import check_chart, save_chart
from streams.cli.funnel_answer import answer_funnel, query_of
from streams.cli.funnel_tables import funnel_lines
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    out,
    print_json,
    settings_options,
    show,
)
from streams.cli.pages import read_json
from streams.cli.story import Teller


def _exclusion(text: str) -> Exclusion:
    condition, _, between = text.rpartition("@")
    match = re.fullmatch(r"(\d+)-(\d+)", between)
    if match is None:
        raise ValueError(f"{text!r}: write CONDITION@1-2 for what must not come between 1 and 2")
    return Exclusion(named_condition(condition)[1], int(match[1]), int(match[2]))


def _breakdown(text: str) -> Breakdown:
    which, _, field = text.partition(":")
    if which in {"first", "last"} and field in {"source", "campaign", "channel"}:
        return Touch(which, field)  # type: ignore[arg-type]
    if which.isdecimal() and int(which) and field:
        return StepField(int(which), field)
    raise ValueError(
        f"{text!r}: write first:source or last:channel (source, campaign, channel), "
        "or 2:product for a field of step 2"
    )


@click.command()
@click.argument("name", required=False)
@settings_options("playbook", "warehouse")
@click.option(
    "--url",
    help="Ask a running sink, of which an embedded warehouse is: for a funnel of its playbook, "
    "--ad-hoc or not.",
)
@click.option(
    "--step",
    "steps",
    type=NAMED,
    multiple=True,
    help="A step of a funnel of your own, in order; repeat it: page_viewed, or "
    "'big=order_paid{amount_minor: {at_least: 10000}}'.",
)
@click.option(
    "--window", type=DURATION, default="7d", show_default=True, help="From the first step on."
)
@click.option(
    "--order", type=click.Choice(["ordered", "strict", "any"]), default="ordered", show_default=True
)
@click.option(
    "--entry",
    type=click.Choice(["latest", "first"]),
    default="latest",
    show_default=True,
    help="Which entry counts where the first step repeats.",
)
@click.option(
    "--exclude",
    "exclusions",
    type=Written("condition@i-j", _exclusion),
    multiple=True,
    help="What must not come between two steps: order_refunded@2-3.",
)
@click.option("--since", help="Entries from this day or time on.")
@click.option("--until", help="Entries before this day or time.")
@click.option(
    "--by",
    type=Written("breakdown", _breakdown),
    help="first:source, last:channel (or campaign), or 2:product, a field of step 2.",
)
@click.option("--trend", is_flag=True, help="By day of entry.")
@click.option("--fell-out", type=click.IntRange(min=1), help="Name who ended at this step.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="People named."
)
@click.option(
    "--sample",
    "share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="Share of people to look at, such as 0.1; the error is stated.",
)
@click.option(
    "--ad-hoc",
    is_flag=True,
    help="Answer a funnel of the playbook from raw touches, not from the rows that workers keep.",
)
@timezone_option
@click.option(
    "--seconds",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="How long the question may take.",
)
@click.option(
    "--chart",
    type=click.Path(path_type=Path),
    help="Draw it into this file, too: .png, .svg or .html (picture and table). Needs the extra "
    "`charts`.",
)
@json_option
def funnel(
    name: str | None, url: str | None, chart: Path | None, as_json: bool, **options: Any
) -> None:
    r"""Count the people who took each step of the funnel NAME, or of one given by --step.

    Without either, lists the funnels of the playbook. Ties in time count in the order of the log,
    one event satisfies one step, and the window runs from the first step, its end included:
    docs/funnels.md has every rule.

    \b
    touchline funnel repeat-purchase
    touchline funnel --step page_viewed --step friend_added --step order_paid --window 30d \\
        --by first:source
    """
    if chart:
        check_chart(chart)
    settings = load_settings(**{key: options.pop(key) for key in ("playbook", "warehouse")})
    playbook = find_playbook(settings.playbook)
    _check_together(name, options)
    if url:
        answer = _ask_sink(url, name, ad_hoc=options["ad_hoc"])
    elif name or options["steps"]:
        query = query_of(playbook, name, options)
        with opened(settings) as warehouse:
            answer = answer_funnel(warehouse, playbook, query, options)
    else:
        for spec in playbook.funnels:
            click.echo(f"{spec.name}: " + " -> ".join(step.name for step in spec.steps))
        return
    zone = load_zone(options["timezone"] or playbook.timezone)
    lines = funnel_lines(answer, Teller(zone).clock)
    if chart:
        if "fell_out" in answer:
            raise click.UsageError("--chart draws steps: leave out --fell-out")
        save_chart(answer, lines, chart)
        err.print(f"wrote {chart}")
    if as_json:
        print_json(answer)
    else:
        for line in lines:
            if isinstance(line, str):
                out.print(line)
            else:
                show(line)


def _check_together(name: str | None, options: dict[str, Any]) -> None:
    """Refuse options that the answer would pass over in silence."""
    own = _given({"steps", "window", "order", "entry", "exclusions"})
    if name and own:
        raise click.UsageError(
            f"{name} has steps, window and order of its own: leave out {', '.join(own)}, or write "
            "a funnel of your own with --step and no name"
        )
    parts = _given({"by", "trend", "fell_out"})
    if parts and options["share"] < 1:
        raise click.UsageError(f"a sample counts the steps only: leave out {', '.join(parts)}")
    if options["fell_out"] and len(parts) > 1:
        raise click.UsageError("--fell-out names people: leave out --by and --trend")


def _given(names: set[str]) -> list[str]:
    """Return those of the options that are there on the command line, as it writes them."""
    context = click.get_current_context()
    return [
        option.opts[0]
        for option in context.command.params
        if option.name in names
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]


def _ask_sink(url: str, name: str | None, *, ad_hoc: bool) -> dict[str, Any]:
    """Return what a sink answers about a funnel of its playbook."""
    known = {"name", "url", "ad_hoc", "chart", "as_json"}
    options = {str(option.name) for option in click.get_current_context().command.params}
    if given := _given(options - known):
        raise click.UsageError(f"a sink answers a funnel whole: leave out {', '.join(given)}")
    if not name:
        raise click.UsageError("--url asks for a funnel of the sink's playbook: name it")
    answer: dict[str, Any] = read_json(f"{url}/funnel/{quote(name)}{'?ad_hoc=1' * ad_hoc}")
    return answer
