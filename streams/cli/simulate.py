"""``touchline simulate``: the fold over a file, without Kafka; what it gives, the worker gives."""

import itertools
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from processors.partition import Effects, Partition
from processors.playbook import compile_playbook
from schemas.jsonlines import parse_time
from schemas.playbook import find_playbook
from schemas.profile import dump
from streams.cli.history import read_events
from streams.cli.output import err, load_settings, print_json, progress, settings_options

BATCH = 1000


def _read_time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


until_option = click.option(
    "--until",
    callback=lambda _context, _option, text: _read_time(text),
    help="Let the clock run on to this time: ISO 8601 with an offset, or milliseconds since 1970.",
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@settings_options("playbook")
@until_option
@click.option("--profiles", "show", flag_value="profiles", help="Print the canonical dump.")
@click.option("--actions", "show", flag_value="actions", help="Print the actions, JSON lines.")
@click.option("--facts", "show", flag_value="facts", help="Print the facts, JSON lines.")
@click.option("--json", "show", flag_value="summary", help="Print the summary as JSON.")
def simulate(file: Path, until: int | None, show: str | None, **flags: Any) -> None:
    """Fold touchpoints from FILE (JSON lines, - for standard input) under a playbook.

    Uses the same code as the worker and gives the same profiles, byte for byte, and the same
    actions with the same ids. A line may carry "appended_at", the time at which the broker took
    it; without one it counts as taken when it happened.
    """
    settings = load_settings(**flags)
    playbook = compile_playbook(find_playbook(settings.playbook))
    partition = Partition(playbook, {})
    totals = Effects()
    rejected = 0
    with progress() as bar:
        lines = bar.track(read_events(file), description="folding")
        while batch := list(itertools.islice(lines, BATCH)):
            effects = partition.apply(batch)
            rejected += len(effects.rejected)
            for index, reason, detail in effects.rejected:
                err.print(f"rejected {batch[index][0].event_id}: {reason}: {detail}", markup=False)
            _gather(totals, effects, show)
    if until is not None:
        _gather(totals, partition.advance(until), show)
    _print(partition, totals, rejected, show)


def _gather(totals: Effects, effects: Effects, show: str | None) -> None:
    totals.actions.extend(effects.actions)
    if show == "facts":
        totals.facts.extend(effects.facts)


def _print(partition: Partition, totals: Effects, rejected: int, show: str | None) -> None:
    counts = partition.counts
    summary = {
        "profiles": len(partition.profiles),
        "applied": counts.applied,
        "duplicates": counts.duplicates,
        "late": counts.late,
        "rejected": rejected,
        "actions": len(totals.actions),
        "clock": partition.clock,
    }
    match show:
        case "profiles":
            sys.stdout.writelines(f"{line}\n" for line in dump(partition.profiles))
        case "actions" | "facts":
            records = totals.actions if show == "actions" else totals.facts
            sys.stdout.writelines(f"{msgspec.json.encode(r).decode()}\n" for r in records)
        case "summary":
            print_json(summary)
        case _:
            for name, value in summary.items():
                click.echo(f"{name:>12}  {value}")
            click.echo("see also --profiles, --actions, --facts, --json", err=True)
