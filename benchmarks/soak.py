"""The whole line for a long time: does memory grow, does it fall behind, is all accounted for?

    python benchmarks/soak.py [--minutes N] [--rate N] [--people N] [--workers N] [--kill-every S]
                              [--store rocksdb|memory] [--playbook NAME] [--bootstrap HOST:PORT]

Workers and a sink as they run in production, their own Kafka, an embedded ClickHouse in the sink,
and events at a steady rate, each as if it happened when it is published. In turns a worker is
killed, as a power failure would, and started again. Each minute is a line. At the end everything
published must be committed, and ``touchline verify`` and ``touchline prove`` must find nothing
wrong, the proof also while the line still runs.

Memory is what is resident after each minute. How much it grew is told from the medians of the
second and the last quarter of the time: the first one fills the caches.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple, Self

from folding.workloads import invent
from kafka import KafkaAdminClient
from msgspec.structs import replace
from peers.machine import HOME, Meter, broker, describe
from peers.runs import await_commit, behind, ends_of
from rich.console import Console
from rich.table import Table
from worker import settings

from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.records import Touchpoint
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.publisher import Publisher
from streams.settings import Settings

TICKS = 20
"""Pieces that a second's events are published in."""
ROUND = 200_000
"""Events that are invented at a time."""
MIB = 1 << 20


class Line:
    """Workers and a sink, each with its meter; killed ones come back with their own settings."""

    def __init__(self, given: argparse.Namespace, bootstrap: str, prefix: str) -> None:
        data = {"store": given.store, "warehouse": f"chdb://{HOME / f'{prefix}warehouse'}"}
        self.workers = [
            settings(given, bootstrap, prefix, "kafka").model_copy(
                update=data | {"instance": f"worker-{n}", "data": f"{HOME / f'{prefix}worker-{n}'}"}
            )
            for n in range(given.workers)
        ]
        self.sink = settings(given, bootstrap, prefix, "kafka").model_copy(update=data)
        self._children: list[Child] = []
        self._stack = ExitStack()
        self._prefix = prefix

    def __enter__(self) -> Self:
        for number, own in enumerate(self.workers):
            self._start("worker", own, f"worker-{number}")
        self._start("sink", self.sink, "sink")
        for child in self._children:
            child.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raise if a process has ended by itself."""
        for child in self._children:
            child.check()

    def replace_worker(self, number: int) -> None:
        """Kill a worker, and start it again at once."""
        self._children[number].kill()
        self._children[number].__enter__()

    def resident(self) -> list[int]:
        """Return the resident memory of each process in bytes, the sink's last."""
        return [Meter(child.pid).resident() for child in self._children]

    def _start(self, command: str, own: Settings, name: str) -> None:
        child = Child(command, own, HOME, log_name=f"{self._prefix}{name}")
        self._children.append(self._stack.enter_context(child))


class Minute(NamedTuple):
    """What is seen at the end of a minute."""

    published: int
    behind: int
    resident: list[int]
    killed: int | None


def events(given: argparse.Namespace) -> Iterator[Touchpoint]:
    """Yield events for ever: each round the same people do the same, under new ids."""
    currency, number = find_playbook(given.playbook).currency, 0
    while True:
        for touchpoint, _ in invent(given.playbook, ROUND, given.people, currency=currency):
            yield replace(touchpoint, event_id=f"r{number}-{touchpoint.event_id}")
        number += 1


def run(given: argparse.Namespace, bootstrap: str, line: Line, console: Console) -> list[Minute]:
    """Publish for so many minutes at the rate; print and return what each minute showed."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    topic, source, published, turn = line.sink.topic("touchpoints"), events(given), 0, 0
    seen: list[Minute] = []
    killed: int | None = None
    began = killed_at = time.monotonic()
    with Publisher(bootstrap, topic, Codec()) as publisher:
        while len(seen) < given.minutes:
            passed = time.monotonic() - began
            for _ in range(int(passed * given.rate) - published):
                now = int(time.time() * 1000)
                publisher.publish(replace(next(source), occurred_at=now))
                published += 1
            line.check()
            if given.kill_every and time.monotonic() - killed_at >= given.kill_every:
                killed, turn, killed_at = turn, (turn + 1) % given.workers, time.monotonic()
                line.replace_worker(killed)
            if passed >= 60 * (len(seen) + 1):
                late = behind(admin, line.sink.group, ends_of(admin, topic))
                seen.append(Minute(published, late, line.resident(), killed))
                console.print(described(len(seen), seen[-1]), highlight=False)
                killed = None
            time.sleep(1 / TICKS)
    admin.close()
    return seen


def described(number: int, minute: Minute) -> str:
    """Return a minute as a line."""
    *workers, sink = (f"{each / MIB:,.0f}" for each in minute.resident)
    killed = "" if minute.killed is None else f"; worker {minute.killed} was killed"
    return (
        f"minute {number:3}: {minute.published:>10,} published, {minute.behind:>6,} behind; MiB "
        f"of workers {' '.join(workers)}, of the sink {sink}{killed}"
    )


def grown(seen: list[Minute], place: int) -> tuple[float, float]:
    """Return the median MiB of a process in the second and in the last quarter of the time."""
    quarter = max(1, len(seen) // 4)
    second, last = seen[quarter : 2 * quarter] or seen, seen[-quarter:]
    return (
        median(each.resident[place] for each in second) / MIB,
        median(each.resident[place] for each in last) / MIB,
    )


def ask(own: Settings, command: str) -> int:
    """Run ``touchline verify`` or ``prove`` and return its exit code; it prints what it finds."""
    environ = os.environ | own.to_environ()
    done = subprocess.run([sys.executable, "-m", "streams", command], env=environ, check=False)
    return done.returncode


def main() -> int:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second")
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=300, help="seconds; 0: never")
    parser.add_argument("--store", choices=("rocksdb", "memory"), default="rocksdb")
    parser.add_argument("--playbook", default="refined-retail")
    parser.add_argument("--bootstrap", help="a Kafka that runs (default: one is started)")
    given = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    console, prefix = Console(width=130), f"soak-{int(time.time())}-"
    console.print(f"{given.playbook}; before: {describe()}", highlight=False)
    with broker(given.bootstrap) as (bootstrap, _):
        create_topics(bootstrap, load_topics().values(), prefix=prefix)
        with Line(given, bootstrap, prefix) as line:
            seen = run(given, bootstrap, line, console)
            code = ask(line.sink, "prove")
            for group in (line.sink.group, f"{line.sink.group}-sink"):
                await_commit(bootstrap, line.sink.topic("touchpoints"), group, line.check)
        table = Table("process", "MiB, second quarter", "last quarter", "grown")
        for place in range(given.workers + 1):
            name = f"worker {place}" if place < given.workers else "sink, with its ClickHouse"
            before, after = grown(seen, place)
            table.add_row(name, f"{before:,.0f}", f"{after:,.0f}", f"{after / before - 1:+.1%}")
        console.print(table)
        code |= ask(line.sink, "verify") | ask(line.sink, "prove")
    for each in HOME.glob(f"{prefix}*"):
        shutil.rmtree(each, ignore_errors=True)
    console.print(f"after: {describe()}", highlight=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
