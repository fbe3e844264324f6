"""``touchline export``: the touchpoints that the log has, as the lines that other commands read."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from schemas.jsonlines import format_time
from streams.cli.output import err, load_settings, progress, settings_options
from streams.cli.simulate import read_time
from streams.cli.whole_file import open_whole
from streams.export import Exported, Selection, export_log

_TIME = "ISO 8601 with an offset, or milliseconds since 1970."


@click.command()
@click.option(
    "--to",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    help="The file to write; it has this name once it is whole. Default: standard output.",
)
@click.option("--user", "users", multiple=True, help="Only this person; may be given repeatedly.")
@click.option("--since", help=f"Only what was taken onto the log at this time or later: {_TIME}")
@click.option("--until", help=f"Only what was taken onto the log before this time: {_TIME}")
@settings_options("bootstrap", "broker", "topic_prefix", "registry", "max_record_bytes")
def export(
    to: Path, users: tuple[str, ...], since: str | None, until: str | None, **flags: Any
) -> None:
    r"""Write the touchpoints of the log as JSON lines, to try a playbook on what really happened.

    \b
      touchline export --to log.jsonl
      touchline backtest --playbook new.yaml --against old.yaml --events log.jsonl
      touchline export | touchline simulate - --playbook new.yaml --summary
      touchline export --user U123 | touchline explain --user U123 --events -

    A line is what `publish` and `simulate` read, with the time at which the broker took the record
    as "appended_at". Lines are in the order of that time over all partitions, and each partition
    keeps its own order: folded as one log, people get the profiles, the facts and the actions
    that the workers give them. It ends where the log ends when it begins, so the line may run
    meanwhile; it changes nothing, and is a member of no group.

    Records that hold no touchpoint, which are dead letters, are left out and told on standard
    error, with how many lines there are at the end. Where the log is cut at --since, what happened
    before is not known to a playbook: cut it by person (--user) rather than by time.

    With --to, a file that is there is whole: it is written beside its place, and Ctrl-C leaves
    nothing of it. What is on standard output is whole when the exit code is 0: in a script, let
    `set -o pipefail` see to it that a pipe tells.
    """
    settings = load_settings(**flags)
    begin, end = read_time(since), read_time(until)
    if begin is not None and end is not None and begin >= end:
        raise click.UsageError(f"nothing is from {since} on and before {until}: put the later last")
    # Lines on the terminal are their own progress, and a bar would cross them.
    watched = nullcontext() if str(to) == "-" and sys.stdout.isatty() else progress()
    with open_whole(to) as stream, watched as bar:
        task = bar.add_task("reading the log", total=None) if bar else None

        def watch(done: int, total: int) -> None:
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=total)

        selection = Selection(frozenset(users), begin, end)
        exported = asyncio.run(export_log(settings, selection, stream.write, watch))
    _tell(exported)


def _tell(exported: Exported) -> None:
    """Say on standard error what was written, and what was not."""
    if exported.left_out:
        more = exported.left_out - len(exported.places)
        rest = f"\n  and {more:,} more" if more else ""
        _say(
            f"left out {exported.left_out:,} records that hold no touchpoint:\n  "
            + "\n  ".join(exported.places)
            + rest
        )
    for number, offset in exported.begins.items():
        _say(
            f"partition {number} begins at offset {offset:,}: what was before is no longer on the "
            "log, so what is folded from here is less than the workers have"
        )
    span = (
        f", taken from {format_time(exported.first)} to {format_time(exported.last)}"
        if exported.lines
        else ": the log has nothing that was asked for"
    )
    _say(f"{exported.lines:,} lines of {len(exported.people):,} people{span}")


def _say(text: str) -> None:
    err.print(text, highlight=False, markup=False, soft_wrap=True)
