"""Measure funnels on a warehouse in this process: ad hoc, sampled, and one person's long history.

Run ``python benchmarks/funnels.py [EVENTS] [PEOPLE] [--rounds N] [--folder FOLDER]``; 20,000,000
events of 1,000,000 people take some ten minutes and 2 GB. People do a random five of eight kinds of
event, one after another over 90 days, so every step is met by many. Clock times are on all cores
that this machine gives, and mean something on an idle one only (the load average is printed); CPU
time bears some load. ClickHouse merges fresh rows in this very process: the questions are asked
beside that first, and again when it is done. With --folder the events stay there, and the next run
does not fill them again.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from schemas.records import Touchpoint
from sinks.condition import Condition
from sinks.funnel import FunnelResult, run_funnel
from sinks.funnel_spec import Funnel, Order, Step
from sinks.migrations import migrate
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Limits, Warehouse, open_warehouse

DAY = 86_400_000
START = 1_700_000_000_000
KINDS = (
    "page_viewed", "link_scanned", "friend_added", "trial_started", "order_paid",
    "message_received", "group_joined", "content_shared",
)  # fmt: skip
SHARES = (35, 55, 65, 70, 75, 90, 95, 100)  # percent, summed up
FUNNEL = Funnel(
    "five steps", tuple(Step(kind, Condition.of(kind)) for kind in KINDS[:5]), window_ms=7 * DAY
)
OURS, SAMPLE = "ordered, exact, with times to convert", "  10 % sample of it"
CHUNK = 2_000_000
QUIET = 2.0  # seconds without a merge after which none is expected


def fill(warehouse: Warehouse, events: int, people: int) -> None:
    """Store the events by SQL, in order of time, as a writer would: many parts."""
    kind = f"{list(KINDS)}[arrayFirstIndex(x -> x > cityHash64(number, 2) % 100, {list(SHARES)})]"
    at = f"toDateTime64(({START} + intDiv(number * {90 * DAY}, {events})) / 1000, 3, 'UTC')"
    columns = (
        "event_id, user_id, occurred_at, kind, source, payload, topic, partition, offset, "
        "appended_at"
    )
    for first in range(0, events, CHUNK):
        warehouse.execute(f"""
            INSERT INTO touchpoints ({columns})
            SELECT concat('e', toString(number)),
                   concat('u', leftPad(toString(cityHash64(number, 1) % {people}), 8, '0')),
                   {at}, {kind}, ['douyin', 'qr', ''][1 + number % 3], '{{}}',
                   'touchpoints', cityHash64(number, 1) % {people} % 8, number, {at}
            FROM numbers({first}, {min(CHUNK, events - first)})""")  # noqa: S608 - numbers


def raced(
    asks: dict[str, Callable[[], Any]], rounds: int, going_on: Callable[[], bool] = lambda: True
) -> dict[str, tuple[float, Any]]:
    """Print the times of each question; return the least CPU seconds and the last answers.

    They take turns, so that whatever else the machine does slows all of them alike. No round begins
    when ``going_on`` says no.
    """
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    cpu = dict.fromkeys(asks, float("inf"))
    answers = {name: ask() for name, ask in asks.items()}  # once to warm up
    for _ in range(rounds):
        if not going_on():
            break
        for name, ask in asks.items():
            started, worked = time.perf_counter(), time.process_time()
            answers[name] = ask()
            seconds[name].append(time.perf_counter() - started)
            cpu[name] = min(cpu[name], time.process_time() - worked)
    for name, took in seconds.items():
        times = f"{spread(took)}, CPU {cpu[name]:5.3f} s" if took else "in no round"
        print(f"{name:<42} {times}")
    return {name: (cpu[name], answers[name]) for name in asks}


def spread(seconds: list[float]) -> str:
    """Return what clock times say: the best, the median, p95 (of up to 20 the slowest)."""
    took, count = sorted(seconds), len(seconds)
    p95 = took[min(int(count * 0.95), count - 1)]
    return (
        f"best {took[0]:6.3f}  p50 {took[count // 2]:6.3f}  p95 {p95:6.3f}  "
        f"slowest {took[-1]:6.3f} s of {count}"
    )


def say(what: str) -> None:
    """Print a heading with the load of the machine at this moment."""
    print(f"\n{what} (load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)", flush=True)


def merging(warehouse: Warehouse) -> bool:
    """Return whether ClickHouse merges parts now."""
    return warehouse.query("SELECT count() FROM system.merges") != [(0,)]


def wait_for_merges(warehouse: Warehouse) -> None:
    """Return when nothing was merged for a while, and print how long that took."""
    started = last = time.monotonic()
    while time.monotonic() - last < QUIET:
        if merging(warehouse):
            last = time.monotonic()
        time.sleep(0.1)
    ((parts,),) = warehouse.query("SELECT count() FROM system.parts WHERE active")
    print(f"merges went on for {last - started:.0f} s more; {parts} parts are left")


def window_funnel(warehouse: Warehouse, by: str, final: str) -> list[tuple[int, int]]:
    """Ask ClickHouse's own function: ties by step, one event may satisfy several steps."""
    steps = ", ".join(f"kind = '{kind}'" for kind in KINDS[:5])
    return warehouse.query(
        f"""
        SELECT level, count() FROM (
            SELECT windowFunnel({FUNNEL.window_ms})(
                toUInt64(toUnixTimestamp64Milli(occurred_at)), {steps}) AS level
            FROM touchpoints {final} WHERE kind IN {KINDS[:5]} GROUP BY {by})
        GROUP BY level ORDER BY level""",  # noqa: S608 - ours
        None,
        Limits(),
    )


def errors(whole: FunnelResult, sample: FunnelResult) -> None:
    """Print how far the sample is off, step by step, and what it says of itself."""
    for step, estimate in zip(whole.steps, sample.steps, strict=True):
        off = abs(estimate.people / step.people - 1) if step.people else 0
        stated = estimate.error / estimate.people if estimate.people else 0
        print(
            f"    {step.name:<16} {step.people:>9,} people, sample says {estimate.people:>9,}: "
            f"off by {off:6.2%}, states ±{stated:.2%}"
        )


def long_histories(warehouse: Warehouse) -> None:
    """Print what one person with very many events costs."""
    random = Random(1)  # noqa: S311 - load, not a secret
    for events in (10_000, 100_000, 1_000_000):
        warehouse.execute("TRUNCATE TABLE touchpoints")
        rows = [
            TOUCHPOINTS.row(
                ("touchpoints", 0, i, START),
                Touchpoint(f"e{i}", "u", START + i * 1000, random.choice(KINDS), {}),
            )
            for i in range(events)
        ]
        started = time.perf_counter()
        for first in range(0, events, 100_000):
            warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[first : first + 100_000])
        inserted = events / (time.perf_counter() - started)
        orders: tuple[Order, ...] = ("ordered", "any")
        for order in orders:
            funnel = Funnel("long", FUNNEL.steps, 7 * DAY, order=order)
            name = f"one person, {events:,} events, {order}"
            cpu, _ = raced({name: partial(run_funnel, warehouse, funnel)}, 3)[name]
            print(f"    {cpu / events * 1e6:.2f} µs an event; inserted {inserted:,.0f} rows/s")


def insert_rate(warehouse: Warehouse, rows: int = 1_000_000) -> None:
    """Print the rate of the writer: rows made of records and stored, as the sink does it."""
    records = [
        Touchpoint(
            f"e{i}", f"u{i * 7919 % 100_000}", START + i, "order_paid",
            {"order_id": f"o{i}", "amount_minor": i, "currency": "CNY", "quantity": 1},
            channel="wecom", source="douyin",
        )
        for i in range(rows)
    ]  # fmt: skip
    for batch in (250_000, 100_000, 50_000, 250_000, 100_000, 50_000):
        warehouse.execute("TRUNCATE TABLE touchpoints")
        made, worked, stored = 0.0, 0.0, []
        for first in range(0, rows, batch):
            started = time.perf_counter()
            part = [
                TOUCHPOINTS.row(("touchpoints", 0, first + i, START), record)
                for i, record in enumerate(records[first : first + batch])
            ]
            made += time.perf_counter() - started
            started, cpu = time.perf_counter(), time.process_time()
            warehouse.insert("touchpoints", TOUCHPOINTS.columns, part)
            stored.append(time.perf_counter() - started)
            worked += time.process_time() - cpu
        print(
            f"insert, {batch:,} rows at a time: {rows / sum(stored):,.0f} rows/s stored "
            f"(best {batch / min(stored):,.0f}, slowest {batch / max(stored):,.0f}), "
            f"{rows / worked:,.0f} in a CPU second; {rows / (sum(stored) + made):,.0f} rows/s "
            "with making the rows"
        )


def main() -> None:
    """Fill a warehouse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="?", type=int, default=20_000_000)
    parser.add_argument("people", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", default="", help="Keep the events here for the next run.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        with closing(open_warehouse(f"chdb://{options.folder or spare}/tables")) as warehouse:
            migrate(warehouse)
            questions(warehouse, options.events, options.people, options.rounds)
        with closing(open_warehouse(f"chdb://{spare}/inserted")) as warehouse:
            migrate(warehouse)
            say("the writer: full touchpoints from records, with all projections, merges beside")
            insert_rate(warehouse)
            say("one person's history")
            long_histories(warehouse)


def questions(warehouse: Warehouse, events: int, people: int, rounds: int) -> None:
    """Print what each way to ask takes, on so many events."""
    asks = {
        OURS: lambda: run_funnel(warehouse, FUNNEL),
        SAMPLE: lambda: run_funnel(warehouse, FUNNEL, share=0.1),
    }
    if warehouse.query("SELECT count() FROM touchpoints") != [(events,)]:
        warehouse.execute("TRUNCATE TABLE touchpoints")
        started = time.perf_counter()
        fill(warehouse, events, people)
        took = time.perf_counter() - started
        print(f"{events:,} events of {people:,} people, filled by SQL in {took:.0f} s")
        say("beside merges, whose CPU time counts")
        raced(asks, rounds, lambda: merging(warehouse))
    wait_for_merges(warehouse)
    say(f"{events:,} events of {people:,} people, merged")
    results = raced(
        asks
        | {
            "any order": lambda: run_funnel(warehouse, replace(FUNNEL, order="any")),
            "strict": lambda: run_funnel(warehouse, replace(FUNNEL, order="strict")),
            "windowFunnel by user_id FINAL": lambda: window_funnel(warehouse, "user_id", "FINAL"),
            "windowFunnel by user_id": lambda: window_funnel(warehouse, "user_id", ""),
            "windowFunnel by hash": lambda: window_funnel(warehouse, "cityHash64(user_id)", ""),
        },
        rounds,
    )
    say("done; the sample against the whole")
    errors(results[OURS][1], results[SAMPLE][1])
    for name, (cpu, answer) in results.items():
        if "windowFunnel" in name:
            ours, sampled = results[OURS][0] / cpu, results[SAMPLE][0] / cpu
            print(f"    CPU against {name}: ordered {ours:.2f}, sample {sampled:.2f}")
            print(f"        (it counts {answer})")


if __name__ == "__main__":
    main()
