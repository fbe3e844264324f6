"""``touchline profiles``: the live profiles of running workers."""

import heapq
import json
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import click
from rich.table import Table

from streams.cli.output import out, show
from streams.cli.pages import PageError, read_lines

COLUMNS = ("user_id", "stages", "segment", "frequency", "monetary_minor", "events")


url_option = click.option(
    "--url",
    "urls",
    multiple=True,
    default=("http://127.0.0.1:6066",),
    show_default=True,
    help="A worker's address; repeat it for each worker, since each holds its own partitions.",
)


@click.command()
@click.argument("user", required=False)
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the canonical dump, a line a person.")
@click.option("--limit", type=int, default=20, show_default=True, help="Rows of the table.")
def profiles(user: str | None, urls: tuple[str, ...], as_json: bool, limit: int) -> None:
    """Show the profiles of running workers: all of them, or that of USER.

    With --json all workers' profiles are merged into one canonical dump: keys sorted, people
    ordered by user id, so that two dumps of the same state are equal byte for byte.
    """
    if user is not None:
        line = _find(urls, user)
        click.echo(line) if as_json else out.print_json(line)
        return
    lines = heapq.merge(*(read_lines(f"{url}/profiles") for url in urls), key=_user_id)
    if as_json:
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        show(_table(lines, limit))


def _find(urls: tuple[str, ...], user: str) -> str:
    for url in urls:
        try:
            return next(read_lines(f"{url}/profiles/{quote(user, safe='')}"))
        except PageError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
    raise click.ClickException(f"no worker at {', '.join(urls)} has a profile of {user!r}")


def _user_id(line: str) -> str:
    return str(json.loads(line)["user_id"])


def _cell(value: Any) -> str:
    if isinstance(value, dict):  # stages by name, and counts of events: not those remembered
        shown = (name for name in value if value[name] and not name.startswith("recent"))
        return ", ".join(f"{name} {value[name]}" for name in shown)
    return str(value)


def _table(lines: Iterable[str], limit: int) -> Table:
    table = Table(*COLUMNS)
    people = 0
    for line in lines:
        people += 1
        if people <= limit:
            profile: dict[str, Any] = json.loads(line)
            table.add_row(*(_cell(profile[column]) for column in COLUMNS))
    table.caption = f"{min(people, limit)} of {people} people; --json for all, or name one"
    return table
