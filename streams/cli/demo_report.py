"""What the demonstration shows: the figures of the running worker and sink, as one screen."""

import json
from collections import Counter
from typing import Any, NamedTuple

from rich.table import Table

from schemas.segments import SEGMENTS
from streams.cli.funnel_tables import funnel_table
from streams.cli.output import out, show
from streams.cli.pages import read_json, read_lines

FUNNEL = "repeat-purchase"


class Timing(NamedTuple):
    """How many records were published, and the seconds until acknowledged and until folded."""

    published: int
    acknowledged: float
    folded: float


def collect(worker: str, sink: str, timing: Timing) -> dict[str, Any]:
    """Ask the worker and the sink for everything that the screen shows; all of it is JSON."""
    status = read_json(f"{worker}/status")
    people = [json.loads(line) for line in read_lines(f"{worker}/profiles")]
    account = Counter[str]()
    for partition in status["partitions"].values():
        account.update({name: partition[name] for name in ("applied", "duplicate", "late", "dead")})
    segments: dict[str, dict[str, int]] = {}
    for person in people:
        row = segments.setdefault(person["segment"], {"people": 0, "orders": 0, "revenue_minor": 0})
        row["people"] += 1
        row["orders"] += person["frequency"]
        row["revenue_minor"] += person["monetary_minor"]
    return {
        "published": timing.published,
        "account": dict(account),
        "balanced": timing.published == account.total(),
        "people": len(people),
        "segments": segments,
        "customers": dict(Counter(person["stages"]["customer"] for person in people)),
        "aipl": dict(Counter(person["stages"]["aipl"] for person in people)),
        "actions": status["actions"],
        "facts": status["facts"],
        "funnel": read_json(f"{sink}/funnel/{FUNNEL}"),
        "dead_letters": read_json(f"{sink}/dead-letters"),
        "rows": read_json(f"{sink}/tables"),
        "seconds": {
            "acknowledged": timing.acknowledged,
            "folded": timing.folded,
            "busy": status["busy_seconds"],
        },
    }


def print_report(figures: dict[str, Any]) -> None:
    """Print the screen."""
    account, seconds = figures["account"], figures["seconds"]
    published, sign = figures["published"], "=" if figures["balanced"] else "[red]≠[/]"
    through, busy = published / seconds["folded"], published / seconds["busy"]
    _say(
        f"\n[bold]Account[/]  {published:,} published {sign} {account['applied']:,} applied"
        f" + {account['duplicate']:,} duplicates",
        f"         + {account['late']:,} late + {account['dead']:,} dead-lettered",
        f"[bold]Speed[/]    {through:,.0f} events/s from publisher to committed profile",
        f"         ({busy:,.0f} events/s while the worker had a batch in hand)",
        "[bold]Rows[/]     in ClickHouse",
        *(f"         {count:>7,} {table}" for table, count in figures["rows"].items()),
        *_proof(figures["proof"]),
        "",
    )
    show(_segment_table(figures["segments"]))
    show(_customer_table(figures))
    _say(
        f"\n[bold]{figures['actions']:,} actions requested[/] on actions.message: a reminder to "
        "each customer without a second order 30 days after the first. Each has an id that never "
        "changes, and its cause.\n",
    )
    show(funnel_table(figures["funnel"]))
    show(_letter_table(figures["dead_letters"]))
    _say(
        "\n[bold]Next[/]  touchline demo --keep            leave it running, with the URLs to ask",
        "      touchline simulate --help        a playbook against a file, without Kafka",
        "      playbooks/second-purchase.yaml   the rules behind these figures\n",
    )


def _proof(proof: dict[str, Any]) -> list[str]:
    """Say whether folding the log again gave just what the line did."""
    if proof["findings"]:
        return ["[bold red]Proof[/]    WRONG", *(f"         {what}" for what in proof["findings"])]
    times = "there" if proof["repeated"] else "there exactly once"
    return [
        f"[bold]Proof[/]    the log, folded again, gives the same {proof['people']:,} profiles,",
        f"         {proof['actions']:,} actions and {proof['facts']:,} facts; each is {times}",
    ]


def _say(*lines: str) -> None:
    out.print("\n".join(lines), highlight=False)


def _segment_table(segments: dict[str, dict[str, int]]) -> Table:
    table = Table(title="RFM segments", title_justify="left")
    for name, justify in (("RFM", "left"), ("segment", "left"), ("", "left"), ("people", "right"),
                          ("orders", "right"), ("revenue", "right")):  # fmt: skip
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for letters, segment in SEGMENTS.items():
        row = segments.get(segment.name, {"people": 0, "orders": 0, "revenue_minor": 0})
        table.add_row(
            " ".join(letters),
            segment.name.replace("_", " "),
            segment.chinese,
            f"{row['people']:,}",
            f"{row['orders']:,}",
            f"${row['revenue_minor'] / 100:,.2f}",
        )
    return table


def _customer_table(figures: dict[str, Any]) -> Table:
    table = Table(title="New and old customers, AIPL stages", title_justify="left")
    table.add_column("stage")
    table.add_column("people", justify="right")
    for counts in (figures["customers"], figures["aipl"]):
        for stage, people in sorted(counts.items()):
            table.add_row(stage.replace("_", " "), f"{people:,}")
        table.add_section()
    return table


def _letter_table(letters: list[dict[str, Any]]) -> Table:
    table = Table(
        title="Dead letters: topic dead-letters, table dead_letters", title_justify="left"
    )
    for name in ("place", "reason", "what it says"):
        table.add_column(name)
    for letter in letters:
        table.add_row(letter["place"], letter["reason"], letter["detail"])
    return table
