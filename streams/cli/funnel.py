"""``touchline funnel``: how many people took each step of a funnel of the playbook."""

from typing import Any

import click
from rich.table import Table

from schemas.playbook import find_playbook
from sinks.funnel import run_funnel
from sinks.warehouse import open_warehouse
from streams.cli.output import json_option, load_settings, out, print_json, settings_options
from streams.cli.pages import read_json
from streams.funnels import find_funnel


@click.command()
@click.argument("name", required=False)
@settings_options("playbook", "warehouse")
@click.option("--url", help="Ask a running sink: an embedded warehouse opens in one process only.")
@json_option
def funnel(name: str | None, url: str | None, as_json: bool, **flags: Any) -> None:
    """Count the people who took each step of the funnel NAME, within its window.

    Without NAME, lists the funnels of the playbook. Ties in time count in the order of the log,
    one event satisfies one step, and the window runs from the first step, its end included.
    """
    settings = load_settings(**flags)
    playbook = find_playbook(settings.playbook)
    if name is None:
        for spec in playbook.funnels:
            click.echo(f"{spec.name}: " + " -> ".join(step.name for step in spec.steps))
        return
    answer = read_json(f"{url}/funnel/{name}") if url else _ask(settings.warehouse, playbook, name)
    if as_json:
        print_json(answer)
    else:
        out.print(funnel_table(answer))


def _ask(address: str, playbook: Any, name: str) -> dict[str, Any]:
    query = find_funnel(playbook, name)
    warehouse = open_warehouse(address)
    try:
        result = run_funnel(warehouse, query)
    finally:
        warehouse.close()
    return {"funnel": name, "steps": [step._asdict() for step in result.steps]}


def funnel_table(answer: dict[str, Any]) -> Table:
    """Return a funnel for a terminal: people and shares, step by step."""
    table = Table(title=f"funnel {answer['funnel']}", title_justify="left")
    table.add_column("step")
    for name in ("people", "of step before", "of first"):
        table.add_column(name, justify="right")
    for step in answer["steps"]:
        shares = (f"{step['from_previous']:.1%}", f"{step['from_first']:.1%}")
        table.add_row(step["name"], f"{step['people']:,}", *shares)
    return table
