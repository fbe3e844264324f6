"""``touchline ask`` about moves: the RFM segments at a date, who went where between two."""

from typing import Any

import click

from schemas.playbook.checks import BUILT_IN
from schemas.segments import SEGMENTS
from sinks.flow import stage_flow
from sinks.rfm_matrix import RfmCuts, rfm_matrix, rfm_movement
from streams.cli.asking import instant, opened, table, timezone_option
from streams.cli.output import json_option, print_json, settings_options, show
from streams.cli.question import asked_under, check_known, rules_of

DAY = 86_400_000


@click.command("rfm")
@settings_options("playbook", "warehouse")
@click.option("--at", "at", required=True, help="As of this day (its end) or time.")
@click.option("--since", help="Show who moved since this day or time instead.")
@timezone_option
@json_option
def ask_rfm(at: str, since: str | None, as_json: bool, **options: Any) -> None:
    """Show the eight RFM segments at a date, or who moved between two."""
    settings, playbook, zone = asked_under(options)
    cuts = RfmCuts(*playbook.rfm.cuts())
    earlier, later = _ends(since, at, zone)
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
        show(table(f"RFM at {at}", names, rows))
    else:
        show(_flow_table(f"RFM from {since} to {at}", moved))


@click.command("flow")
@settings_options("playbook", "warehouse")
@click.option("--since", required=True, help="The earlier day (its end) or time.")
@click.option("--at", "at", required=True, help="The later one.")
@click.option("--machine", default="aipl", show_default=True, help="The stage machine.")
@timezone_option
@json_option
def ask_flow(since: str, at: str, machine: str, as_json: bool, **options: Any) -> None:
    """Show who moved from which stage to which between two dates."""
    settings, playbook, zone = asked_under(options)
    earlier, later = _ends(since, at, zone)
    with opened(settings) as warehouse:
        moved = stage_flow(warehouse, earlier or 0, later, machine=machine)
    if not moved:
        own = [each.name for each in playbook.stages.machines]
        check_known("stage machine", machine, [*BUILT_IN, *own])
    if as_json:
        print_json([{"from": a, "to": b, "people": n} for (a, b), n in moved.items()])
    else:
        show(_flow_table(f"{machine} from {since} to {at}", moved))


def _ends(since: str | None, at: str, zone: str) -> tuple[int | None, int]:
    """Return the earlier date, if there is one, and the later."""
    earlier, later = None if since is None else _end(since, zone), _end(at, zone)
    if earlier is not None and earlier >= later:
        raise click.UsageError(f"--at {at} is not after --since {since}")
    return earlier, later


def _end(text: str, zone: str) -> int:
    """Return the last millisecond of a day, or the instant of a time."""
    found = instant(text, zone) or 0
    return found if "T" in text or ":" in text else found + DAY - 1


def _flow_table(title: str, moved: dict[tuple[str, str], int]) -> Any:
    after = sorted({b for _, b in moved})
    before = sorted({a for a, _ in moved})
    rows = [(a or "(none)", *(moved.get((a, b), 0) for b in after)) for a in before]
    return table(title, ("from \\ to", *(b or "(none)" for b in after)), rows)
