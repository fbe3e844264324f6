"""``touchline simulate``: the fold over a file, without Kafka; what it gives, the worker gives."""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import msgspec

from processors.partition import Effects, Partition
from processors.playbook import compile_playbook
from schemas.jsonlines import parse_time
from schemas.playbook import find_playbook
from schemas.profile import Profile, canonical, dump
from schemas.records import Fact, Touchpoint
from schemas.timezones import load_zone
from streams.cli.history import BATCH, count_lines, read_events
from streams.cli.output import err, load_settings, progress, settings_options
from streams.cli.story import Teller

Batch = list[tuple[Touchpoint, int]]
Show = Callable[[Batch, Effects], None]


def read_time(text: str | None) -> int | None:
    """Return the milliseconds since 1970 of an option; None where it is not given.

    Raises:
        click.BadParameter: it is no time.
    """
    try:
        return None if text is None else parse_time(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


until_option = click.option(
    "--until",
    callback=lambda _context, _option, text: read_time(text),
    help="Let the clock run on to this time: ISO 8601 with an offset, or milliseconds since 1970.",
)


@click.command()
@click.argument("file", type=click.Path(allow_dash=True, path_type=Path))
@settings_options("playbook")
@until_option
@click.option("--json", "form", flag_value="json", help="JSON lines of everything, with types.")
@click.option("--facts", "form", flag_value="facts", help="Only the facts, JSON lines.")
@click.option("--actions", "form", flag_value="actions", help="Only the actions, JSON lines.")
@click.option("--profiles", "form", flag_value="profiles", help="Only the canonical dump.")
@click.option("--summary", "form", flag_value="summary", help="Only the counts, as JSON.")
def simulate(file: Path, until: int | None, form: str | None, **flags: Any) -> None:
    """Fold touchpoints from FILE (JSON lines, - for standard input) under a playbook.

    Uses the same code as the worker and gives the same profiles, byte for byte, and the same
    actions with the same ids. A line may carry "appended_at", the time at which the broker took
    it; without one it counts as taken when it happened.

    Prints what happened as a story: each event or timer that something followed from, in the order
    of time, and what followed by which rule. With --json prints one object a line, and each has a
    "type": fact, action and rejected as they come, then every profile, then the summary.
    """
    settings = load_settings(**flags)
    spec = find_playbook(settings.playbook)
    profiles: dict[str, Profile] = {}
    partition = Partition(compile_playbook(spec), profiles)
    teller = Teller(load_zone(spec.timezone))
    show = _SHOWS.get(form or "") or _storyteller(teller)
    # A story on the terminal is its own progress, and a bar would cross it.
    watched = progress() if form is not None or not sys.stdout.isatty() else nullcontext()
    actions = rejected = 0
    with watched as bar:
        lines: Iterable[tuple[Touchpoint, int]] = read_events(file)
        if bar is not None:
            lines = bar.track(lines, total=count_lines(file), description="folding")
        for batch, effects in _fold(partition, iter(lines), until):
            actions += len(effects.actions)
            rejected += len(effects.rejected)
            show(batch, effects)
    counts = partition.counts
    summary = {
        "profiles": counts.people,
        "applied": counts.applied,
        "duplicates": counts.duplicates,
        "late": counts.late,
        "rejected": rejected,
        "actions": actions,
        "clock": partition.clock,
    }
    _end(form, profiles, summary, teller)


def _fold(
    partition: Partition, lines: Iterator[tuple[Touchpoint, int]], until: int | None
) -> Iterator[tuple[Batch, Effects]]:
    """Yield each batch with what came of it, and at the end what the clock brought."""
    while batch := list(itertools.islice(lines, BATCH)):
        yield batch, partition.apply(batch)
    if until is not None:
        yield [], partition.advance(until)


def _in_order(effects: Effects) -> list[Fact]:
    """Return the facts by time, and each person's in the order in which they were stated."""
    return sorted(effects.facts, key=lambda fact: (fact.at, fact.user_id))


def _storyteller(teller: Teller) -> Show:
    """Return what prints each cause from which something followed, and what did."""

    def show(batch: Batch, effects: Effects) -> None:
        _warn(batch, effects)
        events = {(each.user_id, each.event_id): each for each, _ in batch}
        for (user, kind, cause, at), group in groupby(
            _in_order(effects), lambda fact: (fact.user_id, fact.cause_kind, fact.cause_id, fact.at)
        ):
            event = events.get((user, cause)) if kind == "event" else None
            click.echo(f"{teller.clock(at)}  {user}  {teller.headline(kind, cause, event)}")
            for fact in group:
                click.echo(f"    {teller.sentence(fact)}")

    return show


def _show_all(batch: Batch, effects: Effects) -> None:
    for index, reason, detail in effects.rejected:
        event = batch[index][0]
        _line("rejected", event_id=event.event_id, user_id=event.user_id, reason=reason,
              detail=detail)  # fmt: skip
    requested = {action.action_id: action for action in effects.actions}
    for fact in _in_order(effects):
        _line("fact", **msgspec.structs.asdict(fact))
        if fact.kind == "action_requested":
            _line("action", **msgspec.structs.asdict(requested[fact.new]))


def _show_facts(batch: Batch, effects: Effects) -> None:
    _warn(batch, effects)
    _print_records(_in_order(effects))


def _show_actions(batch: Batch, effects: Effects) -> None:
    _warn(batch, effects)
    by_time = sorted(effects.actions, key=lambda each: (each.requested_at, each.user_id))
    _print_records(by_time)


def _print_records(records: Iterable[msgspec.Struct]) -> None:
    sys.stdout.writelines(f"{msgspec.json.encode(each).decode()}\n" for each in records)


def _warn(batch: Batch, effects: Effects) -> None:
    for index, reason, detail in effects.rejected:
        err.print(f"rejected {batch[index][0].event_id}: {reason}: {detail}", markup=False)


_LATE = (
    "late: longer ago than the playbook's `lateness` when its turn came. The lines are a log: sort "
    "them by occurred_at, or say in appended_at when each was taken"
)
_SHOWS: dict[str, Show] = {
    "json": _show_all,
    "facts": _show_facts,
    "actions": _show_actions,
    "profiles": _warn,
    "summary": _warn,
}


def _end(
    form: str | None, profiles: dict[str, Profile], summary: dict[str, int], teller: Teller
) -> None:
    """Print what can be said only at the end."""
    if form == "profiles":
        sys.stdout.writelines(f"{line}\n" for line in dump(profiles))
    elif form == "json":
        for user_id in sorted(profiles):
            _line("profile", **msgspec.json.decode(canonical(profiles[user_id])))
    if form == "json":
        _line("summary", **summary)
    elif form == "summary":
        click.echo(msgspec.json.encode(summary))
    else:
        counts = ", ".join(f"{name} {value}" for name, value in summary.items() if name != "clock")
        until = f", up to {teller.clock(summary['clock'])}" if summary["clock"] else ""
        click.echo(f"{counts}{until}; see also --json, --summary", err=True)
        if summary["late"]:
            click.echo(_LATE, err=True)


def _line(kind: str, /, **fields: Any) -> None:
    sys.stdout.write(msgspec.json.encode({"type": kind, **fields}).decode() + "\n")
