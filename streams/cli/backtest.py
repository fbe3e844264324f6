"""``touchline backtest``: two playbooks over the same log: who would get what, and what differs."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table

from processors.playbook import Playbook
from schemas.records import Action
from streams.cli.history import Folded, fold_file
from streams.cli.output import json_option, print_json, show
from streams.cli.simulate import until_option
from streams.cli.volume import Pressure, Way, by_cap, by_way, caps_on, is_held_back, spell_cap

SIDES = ("old", "new")


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
    type=click.Path(allow_dash=True, path_type=Path),
    help="The log, as JSON lines: what `touchline export` writes; - for standard input.",
)
@until_option
@click.option("--limit", type=int, default=20, show_default=True, help="Rows of each list.")
@json_option
def backtest(
    new: str, old: str, events: Path, until: int | None, limit: int, as_json: bool
) -> None:
    """Fold a log under two playbooks and compare what they would have requested.

    Prints how many actions each SOP requests under either; the volume by day, family, channel and
    sender beside the caps that apply; what each cap did on each day: people at the cap, actions
    dropped, times an action was put off; and the requests that only one of the playbooks makes.
    Days are those on which actions are requested, in the playbook's time zone. Exit code 0 whether
    the playbooks differ or not.
    """
    report = compare(*fold_file(events, (old, new), until, keep=is_held_back))
    if as_json:
        print_json(report)
        return
    show(_sop_table(report))
    for table, rows in (
        (_volume_table(report["volume"][:limit]), report["volume"]),
        (_cap_table(report["caps"][:limit]), report["caps"]),
    ):
        show(table)
        if len(rows) > limit:
            click.echo(f"and {len(rows) - limit} more rows; --limit or --json for all")
    for side, title in (("only_old", f"only {old}"), ("only_new", f"only {new}")):
        rows = report[side]
        click.echo(f"{title}: {len(rows)} requests")
        for row in rows[:limit]:
            click.echo(f"  {row['user_id']}  {row['sop']}/{row['step']}  {row['template']}")
        if len(rows) > limit:
            click.echo(f"  and {len(rows) - limit} more; --limit or --json for all")


def compare(old: Folded, new: Folded) -> dict[str, Any]:
    """Return what two playbooks would have requested, what differs, and the volume by day.

    Volumes and caps are lists of rows in the order of the days; ``old`` and ``new`` in a row are
    what the two playbooks give for it.
    """
    both = (old, new)
    requests = [Counter(map(_request, each.actions)) for each in both]
    before, after = (by_way(each.actions, each.playbook) for each in both)
    caps = [by_cap(each.actions, each.facts, each.playbook, each.clock) for each in both]
    return {
        "actions": {"old": len(old.actions), "new": len(new.actions)},
        "by_sop": _pairs(*(Counter(each.sop for each in one.actions) for one in both)),
        "by_day": _pairs(_by_day(before), _by_day(after)),
        "volume": [
            {
                **way._asdict(),
                "old": before[way],
                "new": after[way],
                "caps": {"old": caps_on(way, old.playbook), "new": caps_on(way, new.playbook)},
            }
            for way in sorted(before | after)
        ],
        "caps": [
            {
                "day": day,
                "cap": name,
                "limit": _limit(name, old.playbook, new.playbook),
                "old": caps[0].get((day, name), Pressure())._asdict(),
                "new": caps[1].get((day, name), Pressure())._asdict(),
            }
            for day, name in sorted(caps[0] | caps[1])
        ],
        "only_old": [each._asdict() for each in sorted((requests[0] - requests[1]).elements())],
        "only_new": [each._asdict() for each in sorted((requests[1] - requests[0]).elements())],
    }


def _by_day(ways: Counter[Way]) -> Counter[str]:
    days: Counter[str] = Counter()
    for way, number in ways.items():
        days[way.day] += number
    return days


def _limit(name: str, *playbooks: Playbook) -> dict[str, str]:
    """Return the cap of this name in words, as either playbook has it; empty for none."""
    found = [{cap.name: spell_cap(cap) for cap in each.outreach.caps} for each in playbooks]
    return {side: caps.get(name, "") for side, caps in zip(SIDES, found, strict=True)}


def _pairs(old: Counter[str], new: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {"old": old[name], "new": new[name]} for name in sorted(old | new)}


def _request(action: Action) -> Request:
    return Request(action.user_id, action.sop, action.step, action.template)


def _sop_table(report: dict[str, Any]) -> Table:
    table = _table("actions requested", "SOP", right=("old", "new", "difference"))
    for sop, row in (report["by_sop"] | {"all": report["actions"]}).items():
        table.add_row(sop, f"{row['old']:,}", f"{row['new']:,}", f"{row['new'] - row['old']:+,}")
    return table


def _volume_table(rows: list[dict[str, Any]]) -> Table:
    table = _table("volume by day", *Way._fields, right=SIDES)
    table.add_column("caps that count it")
    for row in rows:
        caps = dict.fromkeys([*row["caps"]["old"], *row["caps"]["new"]])
        ways = (row[key] or "-" for key in Way._fields)
        table.add_row(*ways, f"{row['old']:,}", f"{row['new']:,}", ", ".join(caps) or "none")
    return table


def _cap_table(rows: list[dict[str, Any]]) -> Table:
    counts = ("people at the cap", "dropped", "deferred")
    table = _table("caps by day (old / new)", "day", "cap", right=counts)
    for row in rows:
        limit = " / ".join(dict.fromkeys(each for each in row["limit"].values() if each))
        old, new = (row[side].values() for side in SIDES)
        pairs = (f"{one:,} / {other:,}" for one, other in zip(old, new, strict=True))
        table.add_row(row["day"], f"{row['cap']}: {limit}", *pairs)
    return table


def _table(title: str, *left: str, right: tuple[str, ...]) -> Table:
    table = Table(*left, title=title, title_justify="left")
    for name in right:
        table.add_column(name, justify="right")
    return table
