"""``touchline rfm means``: measure a population, for RFM against its means."""

import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from processors.partition import Partition
from processors.playbook import compile_playbook
from processors.population import Population, combine, measure
from schemas.playbook import PlaybookSpec, find_playbook
from schemas.playbook.base import DAY
from schemas.timezones import load_zone
from streams.cli.history import BATCH, count_lines, read_events
from streams.cli.output import json_option, load_settings, print_json, progress, settings_options
from streams.cli.pages import read_json
from streams.cli.profiles import url_option
from streams.cli.simulate import read_time
from streams.cli.story import Teller


@click.group()
def rfm() -> None:
    """Measure what RFM compares people with."""


@rfm.command()
@click.option(
    "--events",
    type=click.Path(path_type=Path),
    help="Fold this file (JSON lines) instead of asking running workers.",
)
@url_option
@click.option(
    "--as-of",
    callback=lambda _context, _option, text: read_time(text),
    help="When: ISO 8601 with an offset, or milliseconds since 1970. Now, or the file's end.",
)
@settings_options("playbook")
@json_option
def means(
    events: Path | None, urls: tuple[str, ...], as_of: int | None, as_json: bool, **flags: Any
) -> None:
    """Measure the population, and print the part of the playbook that compares people with it.

    Each partition measures its own people: customers with an order that counts, the time since
    their last orders, their orders and their money. The totals add up, so nothing is lost to
    rounding. Paste what is printed into the playbook in place of its `rfm`, and raise the
    playbook's version: from then on H means at or above the mean, until you measure again.
    """
    spec = find_playbook(load_settings(**flags).playbook)
    parts = _of_workers(urls, as_of) if events is None else [_of_file(events, spec, as_of)]
    population = combine(parts)
    if not population.people:
        raise click.ClickException("nobody has an order that counts, so there is no mean")
    if population.recency_ms < 0:
        raise click.ClickException("the orders are younger than --as-of: choose a later time")
    version = spec.rfm.means.version + 1 if spec.rfm.means else 1
    snapshot = {"version": version, **population._asdict()}
    if as_json:
        print_json({"rfm": {"means": snapshot}})
        return
    click.echo("\n".join(_snippet(snapshot, population, spec)))


def _of_file(file: Path, spec: PlaybookSpec, as_of: int | None) -> Population:
    """Return the totals of the people of a file, at its end or at ``as_of``."""
    profiles: dict[str, Any] = {}
    partition = Partition(compile_playbook(spec), profiles)
    with progress() as bar:
        lines = bar.track(read_events(file), total=count_lines(file), description="folding")
        known = (each for each in lines if as_of is None or each[1] <= as_of)
        while batch := list(itertools.islice(known, BATCH)):
            partition.apply(batch)
    return measure(profiles.values(), partition.clock if as_of is None else as_of)


def _of_workers(urls: Iterable[str], as_of: int | None) -> list[Population]:
    """Return the totals of each partition that the workers hold, all as of one time."""
    as_of = round(time.time() * 1000) if as_of is None else as_of
    parts: dict[str, Population] = {}
    for url in urls:
        for number, totals in read_json(f"{url}/population?as_of={as_of}").items():
            if number in parts:
                cure = "it is moving, or a worker is named twice: try again in a moment"
                raise click.ClickException(f"two workers hold partition {number}: {cure}")
            parts[number] = Population(**totals)
    if not parts:
        raise click.ClickException("the workers hold no partitions yet: try again in a moment")
    held = ", ".join(sorted(parts, key=int))
    click.echo(f"measured partitions {held}; name every worker by --url", err=True)
    return list(parts.values())


def _snippet(snapshot: dict[str, int], population: Population, spec: PlaybookSpec) -> Iterable[str]:
    """Yield the lines to paste: totals, with their means as comments."""
    people = population.people
    meanings = {
        "version": "raise it with every measurement",
        "as_of": Teller(load_zone(spec.timezone)).clock(population.as_of),
        "people": "customers with an order that counts; the rest are their totals",
        "recency_ms": f"mean: last order {population.recency_ms / people / DAY:.1f} days ago",
        "frequency": f"mean: {population.frequency / people:.2f} orders",
        "monetary_minor": f"mean: {population.monetary_minor / people:.1f}, of {spec.currency}",
    }
    yield "rfm:"
    yield "  means:"
    for name, value in snapshot.items():
        yield f"    {f'{name}: {value}':<36}# {meanings[name]}"
