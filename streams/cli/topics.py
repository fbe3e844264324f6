"""``touchline topics``: create what the log needs, and check what is there."""

import sys
from typing import Any

import click
from rich.table import Table

from schemas.topics import load_topics
from streams.admin import check_topics, create_topics
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    print_json,
    settings_options,
    show,
)


@click.group()
def topics() -> None:
    """Create the topics of the log, or check them against their declaration."""


@topics.command()
@settings_options("bootstrap", "topic_prefix")
@click.option(
    "--timestamps",
    type=click.Choice(["log", "event"]),
    default="log",
    show_default=True,
    help="log: the broker stamps touchpoints, as in production. event: the publisher does, so "
    "that `publish --replay` can play history in its own time.",
)
@json_option
def create(timestamps: Any, as_json: bool, **flags: Any) -> None:
    """Create every topic that is missing. What exists is left alone."""
    settings = load_settings(**flags)
    report = create_topics(
        settings.bootstrap,
        load_topics().values(),
        timestamps=timestamps,
        prefix=settings.topic_prefix,
    )
    if as_json:
        print_json({"created": report.created, "existing": report.existing})
    else:
        err.print(f"{len(report.created)} topics created, {len(report.existing)} were there")


@topics.command()
@settings_options("bootstrap", "topic_prefix")
@json_option
def check(as_json: bool, **flags: Any) -> None:
    """Compare the broker's topics with their declaration; exit 1 if any differs."""
    settings = load_settings(**flags)
    differences = check_topics(
        settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix
    )
    if as_json:
        print_json([difference._asdict() for difference in differences])
    elif differences:
        table = Table("topic", "what", "declared", "found", "cure")
        for difference in differences:
            table.add_row(
                difference.topic,
                difference.what,
                difference.declared,
                difference.found,
                difference.cure,
            )
        show(table)
    else:
        err.print("all topics are as declared")
    sys.exit(1 if differences else 0)
