"""Measure a named funnel from the rows that the worker keeps, against the same asked ad hoc.

Run ``python benchmarks/funnels_live.py [PEOPLE] [--rows-only] [--rounds N]``. Everybody has
twenty touches over 90 days, of the kinds and with the shares of ``benchmarks/funnels.py``. The
worker's own code folds 10,000 people, and SQL copies their rows under other names until there are
so many. The table is measured merged, as it becomes by itself, and with fresh rows of 3 % of the
people that are not merged yet; each time the whole history, by day, and the last 30 days, where
the best of each person's days has to be found. A question is all that ``touchline funnel`` asks:
whether rows can tell, then the rows. The load average is printed: clock times mean something on
an idle machine only.
"""

# ruff: noqa: S608 - names and numbers are ours

import argparse
import tempfile
from contextlib import closing
from random import Random
from typing import Any

from funnels import DAY, FUNNEL, KINDS, SHARES, START, fill, raced, say, wait_for_merges

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import PlaybookSpec
from schemas.records import Progress, Touchpoint
from schemas.rules import END_OF_TIME
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


def store(warehouse: Warehouse, sample: list[Progress], people: int) -> None:
    """Store the rows of the sample, and copy them by SQL under other names."""
    warehouse.execute("CREATE TABLE sample AS funnel_progress")
    place = ("funnel-progress", 0, 0, START)
    rows = [FUNNEL_PROGRESS.row(place, each) for each in sample]
    warehouse.insert("sample", FUNNEL_PROGRESS.columns, rows)
    copies = max(people // SAMPLE, 1)
    for first in range(0, copies, 10):
        names = f"numbers({first}, {min(10, copies - first)}) AS name"
        user_id = "concat(user_id, '-', toString(name.number))"
        copy(warehouse, f"sample CROSS JOIN {names}", user_id=user_id)
    query = find_funnel(PLAYBOOK, "five-steps")
    said = Progress(query.name, query.definition, "", 0, 0, [], best=False, exact=True, version=0)
    marks = [FUNNEL_PROGRESS.row(("funnel-progress", n, 0, START), said) for n in range(8)]
    warehouse.insert(FUNNEL_PROGRESS.name, FUNNEL_PROGRESS.columns, marks)


def copy(warehouse: Warehouse, source: str, **changed: str) -> None:
    """Store the rows of ``source`` once more, with some columns changed."""
    columns = FUNNEL_PROGRESS.columns
    values = ", ".join(f"{changed.get(name, name)} AS {name}" for name in columns)
    warehouse.execute(
        f"INSERT INTO funnel_progress ({', '.join(columns)}) "
        f"SELECT * FROM (SELECT {values} FROM {source})"
    )


def move(warehouse: Warehouse) -> None:
    """Store anew, unmerged, what 3 % of the people did in the last ten days.

    Besides the days themselves that is the days that these overtook, and the best of all.
    """
    warehouse.execute("SYSTEM STOP MERGES funnel_progress")
    since = f"fromUnixTimestamp({(START + 80 * DAY) // 1000})"
    never = f"fromUnixTimestamp({END_OF_TIME // 1000})"
    copy(
        warehouse,
        "(SELECT * FROM funnel_progress WHERE user_id != '' AND person % 100 < 3 "
        f"AND (best OR day >= {since} OR until >= {since} AND until < {never}))",
        version="version + 1",
    )


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
        store(warehouse, sample, options.people)
        warehouse.execute("OPTIMIZE TABLE funnel_progress FINAL")
        ((rows,),) = warehouse.query("SELECT count() FROM funnel_progress")
        wait_for_merges(warehouse)
        each = len(sample) / SAMPLE
        say(f"{options.people:,} people, {rows:,} rows ({each:.1f} a person), merged")
        last = query.between(START // DAY * DAY + 60 * DAY, None)
        named = {
            "named": lambda: ask(warehouse, query),
            "  by day": lambda: trend(warehouse, query),
            "  the last 30 days": lambda: ask(warehouse, last),
        }
        asks = dict(named)
        if not options.rows_only:
            asks["the same ad hoc"] = lambda: run_funnel(warehouse, query)
            asks["an ad hoc funnel of all touches"] = lambda: run_funnel(warehouse, FUNNEL)
        results = raced(asks, options.rounds)
        move(warehouse)
        say("with fresh rows of 3 % of the people, which nothing merges")
        moved = raced({f"{name}, 3 % moved": question for name, question in named.items()},
                      options.rounds)  # fmt: skip
        if not options.rows_only:
            for name, (median, _) in (results | moved).items():
                print(f"    {name.strip()}: {median / results['the same ad hoc'][0]:.3f} of ad hoc")


if __name__ == "__main__":
    main()
