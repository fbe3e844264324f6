"""``touchline backtest``: two playbooks over the same log: who would get what, and what differs."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table

from schemas.records import Action
from streams.cli.history import fold_file
from streams.cli.output import json_option, out, print_json
from streams.cli.simulate import until_option


class Request(NamedTuple):
    """What a person would be asked or told, whatever the version of the SOP."""

    user_id: str
    sop: str
    step: str
    template: str


@click.command()
@click.option("--playbook", "new", required=True, help="The playbook to try: name or YAML file.")
@click.option("--against", "old", required=True, help="The playbook to compare it with.")
@click.option(
    "--events",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The log, as JSON lines.",
)
@until_option
@click.option("--limit", type=int, default=20, show_default=True, help="Differences to list.")
@json_option
def backtest(
    new: str, old: str, events: Path, until: int | None, limit: int, as_json: bool
) -> None:
    """Fold a log under two playbooks and compare what they would have requested.

    Prints how many actions each SOP requests under either, the volume by day and the busiest
    day, and the requests that only one of them makes. Exit code 0 whether they differ or not.
    """
    requested = {name: fold_file(events, name, until).actions for name in dict.fromkeys((old, new))}
    report = compare(requested[old], requested[new])
    if as_json:
        print_json(report)
        return
    out.print(_sop_table(report), _day_table(report))
    for side, title in (("only_old", f"only {old}"), ("only_new", f"only {new}")):
        rows = report[side]
        click.echo(f"{title}: {len(rows)} requests")
        for row in rows[:limit]:
            click.echo(f"  {row['user_id']}  {row['sop']}/{row['step']}  {row['template']}")
        if len(rows) > limit:
            click.echo(f"  and {len(rows) - limit} more; --limit or --json for all")


def compare(old: list[Action], new: list[Action]) -> dict[str, Any]:
    """Return what two lists of actions have in common and what not, by SOP and by day (UTC)."""
    counts = [Counter(map(_request, actions)) for actions in (old, new)]
    return {
        "actions": {"old": len(old), "new": len(new)},
        "by_sop": _side_by_side(*(Counter(each.sop for each in actions) for actions in (old, new))),
        "by_day": _side_by_side(
            *(Counter(_day(each.due_at) for each in actions) for actions in (old, new))
        ),
        "only_old": [each._asdict() for each in sorted((counts[0] - counts[1]).elements())],
        "only_new": [each._asdict() for each in sorted((counts[1] - counts[0]).elements())],
    }


def _side_by_side(old: Counter[str], new: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {"old": old[name], "new": new[name]} for name in sorted(old | new)}


def _request(action: Action) -> Request:
    return Request(action.user_id, action.sop, action.step, action.template)


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def _sop_table(report: dict[str, Any]) -> Table:
    table = Table("SOP", title="actions requested", title_justify="left")
    for name in ("old", "new", "difference"):
        table.add_column(name, justify="right")
    for sop, row in (report["by_sop"] | {"all": report["actions"]}).items():
        table.add_row(sop, f"{row['old']:,}", f"{row['new']:,}", f"{row['new'] - row['old']:+,}")
    return table


def _day_table(report: dict[str, Any]) -> Table:
    table = Table("playbook", title="volume by day", title_justify="left")
    for name in ("days", "mean", "busiest day", "actions that day"):
        table.add_column(name, justify="right")
    for side in ("old", "new"):
        days = {day: row[side] for day, row in report["by_day"].items() if row[side]}
        busiest = max(days, key=lambda day: days[day], default="")
        mean = sum(days.values()) / len(days) if days else 0.0
        table.add_row(side, str(len(days)), f"{mean:,.1f}", busiest, f"{days.get(busiest, 0):,}")
    return table
