"""``touchline verify``: is every record in its account, and once in the warehouse?"""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from schemas.topics import load_topics
from streams.cli.asking import opened, table
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    print_json,
    settings_options,
    show,
)

if TYPE_CHECKING:
    from streams.verify import Report
    from streams.verify_findings import Finding


@click.command()
@settings_options("bootstrap", "broker", "group", "topic_prefix", "registry", "warehouse")
@click.option("--log-only", is_flag=True, help="Leave the warehouse out.")
@json_option
def verify(log_only: bool, as_json: bool, **flags: Any) -> None:
    """Hold log, accounts and warehouse against each other; exit 1 when something is wrong.

    Each record of touchpoints must be applied, a duplicate, late or a dead letter; each record of
    each topic must have one row in ClickHouse, and each row a record; where records replace one
    another, the newest of each key. Reads the whole log, and changes nothing; the line may run
    meanwhile. To be behind is not wrong: it says by how much.
    """
    from streams.admin import require_topics  # noqa: PLC0415 - so that --help answers at once
    from streams.verify import verify as run  # noqa: PLC0415 - as above

    settings = load_settings(**flags)
    # A partition that nobody declared is read by nobody: its records are in no account.
    require_topics(settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix)
    with nullcontext() if log_only else opened(settings) as warehouse:
        report = asyncio.run(run(settings, warehouse))
    if as_json:
        print_json(
            {
                "ok": not report.findings,
                "behind": report.behind,
                "sink_behind": report.sink_behind,
                "accounts": [account._asdict() for account in report.accounts],
                "rows": [rows._asdict() for rows in report.rows],
                "findings": [asdict(finding) for finding in report.findings],
            }
        )
    else:
        _draw(report)
    sys.exit(1 if report.findings else 0)


def tell(findings: Iterable["Finding"]) -> None:
    """Say what is wrong, each thing with its place and its cure."""
    for finding in findings:
        offsets = f", offsets {finding.offsets}" if finding.offsets else ""
        place = f"{finding.topic} partition {finding.partition}{offsets}"
        err.print(f"WRONG: {finding.what} ({place})", style="red", highlight=False)
        err.print(f"  cure: {finding.cure}", highlight=False)


def _draw(report: "Report") -> None:
    columns = (
        "partition", "end", "behind", "applied", "duplicates", "late", "dead", "unaccounted"
    )  # fmt: skip
    cells = [
        (a.partition, a.end, a.behind, a.applied, a.duplicates, a.late, a.dead, a.unaccounted)
        for a in report.accounts
    ]
    show(table("touchpoints, by what became of them", columns, cells))
    if report.rows:
        names = (
            "topic", "partition", "records", "rows", "first", "last", "behind", "missing", "extra"
        )  # fmt: skip
        held = [tuple(rows) for rows in report.rows if rows.records or rows.rows or rows.behind]
        show(table("rows in the warehouse, by topic", names, held))
    tell(report.findings)
    behind = f"workers behind by {report.behind:,}, sink by {report.sink_behind:,}"
    records = sum(a.applied + a.duplicates + a.late + a.dead for a in report.accounts)
    verdict = (
        f"{len(report.findings)} things are wrong"
        if report.findings
        else f"each of {records:,} records is in its account"
        + (" and each row is there once" if report.rows else "")
    )
    err.print(f"{verdict}; {behind}", highlight=False)
