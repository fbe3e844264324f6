"""Measure a named funnel from the rows that the worker keeps, against the same asked ad hoc.

Run ``python benchmarks/funnels_live.py [PEOPLE]``. Everybody has twenty touches over 90 days, of
the kinds and with the shares of ``benchmarks/funnels.py``; the worker's own code folds one person
in ``PEOPLE / SAMPLE``, and their rows stand for all, each time under another name. Three states of
the table are measured: merged, as it becomes by itself; with 3 % of the people moved since; and
the first with a period, where the best of each person's days has to be found.
"""

import argparse
import tempfile
from contextlib import closing
from random import Random
from typing import Any

from funnels import DAY, FUNNEL, KINDS, SHARES, START, fill, raced
from msgspec.structs import replace

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import PlaybookSpec
from schemas.records import Progress, Touchpoint
from sinks.funnel import run_funnel
from sinks.funnel_live import LiveFunnel, find_live, live_trend, run_live
from sinks.funnel_spec import Funnel
from sinks.migrations import migrate
from sinks.tables import FUNNEL_PROGRESS
from sinks.warehouse import Warehouse, open_warehouse
from streams.funnels import find_funnel

EVENTS = 20
SAMPLE = 10_000
PLAYBOOK = PlaybookSpec.model_validate(
    {
        "name": "bench",
        "version": 1,
        "currency": "USD",
        "rfm": {"recency_days": 2, "frequency": 2, "monetary_minor": 5000},
        "funnels": [
            {
                "name": "five-steps",
                "window": "7d",
                "steps": [{"name": kind, "event": kind} for kind in KINDS[:5]],
            }
        ],
    }
)


def rows_of_a_sample() -> list[Progress]:
    """Return what the fold says of ``SAMPLE`` people, the last version of each row."""
    random = Random(1)  # noqa: S311 - load, not a secret
    partition = Partition(compile_playbook(PLAYBOOK), {})
    span, weights = 90 * DAY, [b - a for a, b in zip((0, *SHARES), SHARES, strict=False)]
    log = sorted(
        (START + random.randrange(span), f"u{person}", f"e{person}-{number}", kind)
        for person in range(SAMPLE)
        for number, kind in enumerate(random.choices(KINDS, weights, k=EVENTS))
    )
    payload = {"order_id": "", "amount_minor": 0, "currency": "USD"}
    effects = partition.apply(
        (Touchpoint(name, user, at, kind, payload | {"order_id": name}), at)
        for at, user, name, kind in log
    )
    return list(effects.progress.values())


def store(warehouse: Warehouse, sample: list[Progress], people: int, version: int) -> None:
    """Store the rows of the sample under other names until there are so many people."""
    for copy in range(people // SAMPLE):
        warehouse.insert(
            FUNNEL_PROGRESS.name,
            FUNNEL_PROGRESS.columns,
            [
                FUNNEL_PROGRESS.row(
                    ("funnel-progress", 0, 0, START),
                    replace(each, user_id=f"{each.user_id}-{copy}", version=each.version + version),
                )
                for each in sample
            ],
        )
    query = find_funnel(PLAYBOOK, "five-steps")
    said = Progress(query.name, query.definition, "", 0, 0, [], best=False, exact=True, version=0)
    rows = [FUNNEL_PROGRESS.row(("funnel-progress", n, 0, START), said) for n in range(8)]
    warehouse.insert(FUNNEL_PROGRESS.name, FUNNEL_PROGRESS.columns, rows)


def ask(warehouse: Warehouse, query: Funnel) -> Any:
    """Ask as ``touchline funnel`` does: see whether rows can tell, then count."""
    live = find_live(warehouse, query)
    if not isinstance(live, LiveFunnel):
        raise TypeError(live.reason)
    return run_live(warehouse, live)


def trend(warehouse: Warehouse, query: Funnel) -> Any:
    """Ask by day of entry."""
    live = find_live(warehouse, query)
    if not isinstance(live, LiveFunnel):
        raise TypeError(live.reason)
    return live_trend(warehouse, live)


def main() -> None:
    """Fill a warehouse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rows-only", action="store_true", help="No touches, nothing ad hoc.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", default="", help="Where to put the tables, for this run only.")
    options = parser.parse_args()
    sample, query = rows_of_a_sample(), find_funnel(PLAYBOOK, "five-steps")
    with (
        tempfile.TemporaryDirectory(dir=options.folder or None) as folder,
        closing(open_warehouse(f"chdb://{folder}/tables")) as warehouse,
    ):
        migrate(warehouse)
        if not options.rows_only:
            fill(warehouse, options.people * EVENTS, options.people)
        store(warehouse, sample, options.people, 0)
        warehouse.execute("OPTIMIZE TABLE funnel_progress FINAL")
        ((rows,),) = warehouse.query("SELECT count() FROM funnel_progress")
        print(f"{options.people:,} people, {rows:,} rows: {len(sample) / SAMPLE:.1f} a person")
        last = query.between(START // DAY * DAY + 60 * DAY, None)
        asks = {
            "named": lambda: ask(warehouse, query),
            "  by day": lambda: trend(warehouse, query),
            "  the last 30 days": lambda: ask(warehouse, last),
        }
        if not options.rows_only:
            asks["the same ad hoc"] = lambda: run_funnel(warehouse, query)
            asks["an ad hoc funnel of all touches"] = lambda: run_funnel(warehouse, FUNNEL)
        results = raced(asks, options.rounds)
        store(warehouse, sample[: len(sample) * 3 // 100], options.people, 100)
        moved = raced({"named, 3 % moved": lambda: ask(warehouse, query)}, options.rounds)
        if not options.rows_only:
            for name, (median, _) in (results | moved).items():
                print(f"    {name.strip()}: {median / results['the same ad hoc'][0]:.3f} of ad hoc")


if __name__ == "__main__":
    main()
