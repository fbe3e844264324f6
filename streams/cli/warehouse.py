"""``touchline warehouse``: bring the tables up to date, and check them."""

import sys
from typing import Any

import click

from sinks.migrations import drift
from sinks.migrations import migrate as run_migrations
from streams.cli.asking import opened, table
from streams.cli.output import err, json_option, load_settings, out, print_json, settings_options


@click.group()
def warehouse() -> None:
    """Bring the warehouse's tables up to date, or check them."""


@warehouse.command()
@settings_options("warehouse")
@json_option
def migrate(as_json: bool, **flags: Any) -> None:
    """Apply the migrations that are due. The sink does so at its start, too."""
    with opened(load_settings(**flags)) as opened_warehouse:
        applied = [migration.name for migration in run_migrations(opened_warehouse)]
    if as_json:
        print_json({"applied": applied})
    else:
        err.print(f"applied: {', '.join(applied) or 'nothing was due'}")


@warehouse.command()
@settings_options("warehouse")
@json_option
def check(as_json: bool, **flags: Any) -> None:
    """Compare the columns of each table with those that this version writes; exit 1 if any lack."""
    with opened(load_settings(**flags)) as opened_warehouse:
        missing = drift(opened_warehouse)
    if as_json:
        print_json([{"table": name, "column": column} for name, column in missing])
    elif missing:
        out.print(table("", ("table", "missing column"), list(missing)))
    else:
        err.print("all tables have what this version writes")
    sys.exit(1 if missing else 0)
