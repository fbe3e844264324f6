"""``touchline warehouse``: bring the tables up to date, and check them."""

import sys
from typing import Any

import click

from sinks.migrations import drift
from sinks.migrations import migrate as run_migrations
from streams.cli.asking import opened, opened_to_write, table
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    print_json,
    settings_options,
    show,
)


@click.group()
def warehouse() -> None:
    """Bring the warehouse's tables up to date, or check them."""


@warehouse.command()
@settings_options("warehouse", "clickhouse_cluster", "keep_days")
@json_option
def migrate(as_json: bool, **flags: Any) -> None:
    """Apply the migrations that are due. The sink does so at its start, too."""
    settings = load_settings(**flags)
    with opened_to_write(settings) as opened_warehouse:
        due = run_migrations(opened_warehouse, settings.deployment())
    applied = [migration.name for migration in due]
    if as_json:
        print_json({"applied": applied})
    else:
        err.print(f"applied: {', '.join(applied) or 'nothing was due'}")


@warehouse.command()
@settings_options("warehouse", "clickhouse_cluster", "keep_days")
@json_option
def check(as_json: bool, **flags: Any) -> None:
    """Compare the tables with what this version writes and the settings say; exit 1 where not."""
    settings = load_settings(**flags)
    with opened(settings) as opened_warehouse:
        differences = drift(opened_warehouse, settings.deployment())
    if as_json:
        print_json([{"table": name, "difference": how} for name, how in differences])
    elif differences:
        show(table("", ("table", "difference"), list(differences)))
    else:
        err.print("all tables are as this version and the settings have them")
    sys.exit(1 if differences else 0)
