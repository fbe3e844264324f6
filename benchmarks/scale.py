"""What an event costs as the workers and the people become more.

    python benchmarks/scale.py [--playbook NAME] [--mix visits|orders] [--events N]
                               [--people N ...] [--workers N ...] [--bootstrap HOST:PORT]

Each run writes a changelog of so many profiles to a real Kafka, starts the workers, which share
its four partitions, and publishes so many events of these people while the workers are suspended.
Counted is the CPU of the workers, from when they go on until the last event is committed. The first
number of people is measured with each number of workers, the others with the first number of them.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack

from msgspec.structs import replace
from peers.machine import HOME, Meter, broker, describe
from peers.recovery import write_changelog
from peers.runs import await_commit
from rich.console import Console
from rich.progress import track
from rich.table import Table
from worker import invent, settings

from schemas.codec import Codec
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.cli.pages import PageError, read_json
from streams.publisher import Publisher

SHARE_SECONDS = 120.0


def measure(
    given: argparse.Namespace, bootstrap: str, prefix: str, people: int, workers: int
) -> tuple[float, float, float]:
    """Return CPU seconds and wall seconds of all events, and the peak MiB of the largest worker."""
    given = argparse.Namespace(**vars(given) | {"people": people})
    own = [settings(given, bootstrap, prefix, "kafka") for _ in range(workers)]
    create_topics(bootstrap, load_topics().values(), prefix=prefix)
    asyncio.run(write_changelog(own[0], people))
    with ExitStack() as stack:
        started = [
            stack.enter_context(Child("worker", each, HOME, log_name=f"{prefix}worker-{number}"))
            for number, each in enumerate(own)
        ]
        _wait_for_shares(started)
        for child in started:
            child.suspend()  # so that all find the whole backlog, with the cores to themselves
        with Publisher(bootstrap, own[0].topic("touchpoints"), Codec()) as publisher:
            for touchpoint in invent(given, given.events):
                name = f"s-{touchpoint.event_id}"  # not one that the profiles know
                now = int(time.time() * 1000)
                publisher.publish(replace(touchpoint, event_id=name, occurred_at=now))

        def check() -> None:
            for child in started:
                child.check()

        meters = [Meter(child.pid) for child in started]
        cpu, began = [meter.cpu() for meter in meters], time.monotonic()
        for child in started:
            child.resume()
        await_commit(bootstrap, own[0].topic("touchpoints"), own[0].group, check)
        seconds = time.monotonic() - began
        spent = sum(meter.cpu() - before for meter, before in zip(meters, cpu, strict=True))
        return spent, seconds, max(meter.peak() for meter in meters) / (1 << 20)


def _wait_for_shares(workers: list[Child]) -> None:
    """Wait until the workers share the partitions evenly, all restored."""
    share = load_topics()["touchpoints"].partitions / len(workers)
    deadline = time.monotonic() + SHARE_SECONDS
    while time.monotonic() < deadline:
        if all(abs(_partitions(each) - share) < 1 for each in workers):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{len(workers)} workers do not share the partitions")


def _partitions(worker: Child) -> int:
    worker.check()
    try:
        return len(read_json(f"{worker.url}/health")["partitions"])
    except PageError:  # it recovers
        return 0


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--playbook", default="refined-retail")
    parser.add_argument("--mix", choices=("visits", "orders"), default="visits")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--bootstrap", help="a Kafka that runs (default: one is started)")
    given = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    runs = [(given.people[0], count) for count in given.workers]
    runs += [(people, given.workers[0]) for people in given.people[1:]]
    console, stem = Console(width=100), f"scale-{int(time.time())}-"
    console.print(f"{given.playbook}, {given.mix}; before: {describe()}", highlight=False)
    table = Table("people", "workers", "CPU s per M", "of the first", "events/s", "peak MiB of one")
    first = 0.0
    with broker(given.bootstrap) as (bootstrap, _):
        for number, (people, workers) in enumerate(track(runs, console=Console(stderr=True))):
            cpu, seconds, peak = measure(given, bootstrap, f"{stem}{number}-", people, workers)
            first = first or cpu
            table.add_row(
                f"{people:,}", str(workers), f"{cpu * 1e6 / given.events:.1f}",
                f"{cpu / first:.2f}", f"{given.events / seconds:,.0f}", f"{peak:,.0f}",
            )  # fmt: skip
    console.print(table)
    console.print(f"after: {describe()}", highlight=False)


if __name__ == "__main__":
    main()
