"""The whole worker with a whole playbook on real Kafka: throughput, latency, recovery, a profile.

    python benchmarks/worker.py [--playbook NAME] [--events N] [--people N] [--seconds S]
                                [--mix visits|orders] [--profiles N] [--runs N]
                                [--bootstrap HOST:PORT]

With transactions (kafka) and without (plain). Needs Linux, Java 17, and Maven the first time;
starts its own Kafka. The load generator and the broker share the machine with the worker.
"""

import argparse
import socket
import sys
import time
from collections.abc import Iterator
from statistics import median

from folding import workloads
from peers import job
from peers.latency import measure_latency
from peers.machine import HOME, Meter, broker, describe
from peers.recovery import measure_recovery
from peers.runs import Peer, Result, measure
from peers.sampling import Sampling, start_sampling, sum_up
from rich.console import Console
from rich.table import Table

from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.records import Touchpoint
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.publisher import Publisher
from streams.settings import Settings

LOAD = 0.7
RATE = 100.0
"""Orders a second of the backlog, by their own times."""
BROKERS = ("kafka", "plain")
SAMPLED_SECONDS = 8


def fill(bootstrap: str, prefix: str, given: argparse.Namespace) -> str:
    """Publish a backlog, each event at its own time; return the topic's name."""
    create_topics(bootstrap, [load_topics()["touchpoints"]], timestamps="event", prefix=prefix)
    source = f"{prefix}touchpoints"
    with Publisher(bootstrap, source, Codec(), event_time=True) as publisher:
        for touchpoint in invent(given, given.events):
            publisher.publish(touchpoint)
    return source


def invent(given: argparse.Namespace, events: int) -> Iterator[Touchpoint]:
    """Yield events of the mix that was asked for."""
    currency = find_playbook(given.playbook).currency
    if given.mix == "orders":
        start = int((time.time() - events / RATE) * 1000)
        yield from job.invent(events, given.people, start, RATE, currency)
    else:
        lives = workloads.invent(given.playbook, events, given.people, currency=currency)
        yield from (touchpoint for touchpoint, _ in lives)


def worker(given: argparse.Namespace, kind: str) -> Peer:
    """Return the worker as a peer that reads a topic outside its prefix."""
    command = (sys.executable, "-m", "peers.touchline")
    return Peer(f"worker-{kind}", command, (given.playbook, kind))


def settings(given: argparse.Namespace, bootstrap: str, prefix: str, kind: str) -> Settings:
    """Return the settings of a worker with its own topics and a free port for its pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(
        bootstrap=bootstrap,
        broker=kind,
        group=f"{prefix}group",
        topic_prefix=prefix,
        playbook=given.playbook,
        web_port=port,
        log_level="warning",
    )


def measure_throughput(
    given: argparse.Namespace, bootstrap: str, stem: str, meter: Meter | None
) -> dict[str, list[Result]]:
    """Run over one filled topic, in turns with and without transactions."""
    source = fill(bootstrap, stem, given)
    results: dict[str, list[Result]] = {kind: [] for kind in BROKERS}
    for run in range(given.runs):
        for kind in BROKERS if run % 2 == 0 else BROKERS[::-1]:
            peer = worker(given, kind)
            results[kind].append(measure(peer, bootstrap, source, f"{stem}{run}-{kind}-", meter))
    return results


def show_profile(given: argparse.Namespace, bootstrap: str, stem: str, console: Console) -> None:
    """Run once more over the same topic, sampled, and print where the time went."""
    sampled: list[Sampling] = []

    def sample(pid: int) -> None:
        sampled.append(start_sampling(pid, SAMPLED_SECONDS))

    source = f"{stem}touchpoints"
    measure(worker(given, "kafka"), bootstrap, source, f"{stem}sampled-", None, sample)
    ((sampler, samples),) = sampled
    sampler.wait()
    table = Table("step", "share of the time it holds the interpreter", title="where it goes")
    for label, share in sum_up(samples):
        table.add_row(label, f"{share:.1%}")
    console.print(table)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--playbook", default="second-purchase")
    parser.add_argument(
        "--mix",
        choices=("visits", "orders"),
        default="visits",
        help="visits: all kinds of events, as in benchmarks/fold.py; orders: nine in ten are paid "
        "orders, as in benchmarks/peers.py",
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of steady load")
    parser.add_argument("--profiles", type=int, default=200_000, help="to recover")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bootstrap", help="a Kafka that runs (default: one is started)")
    given = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    console = Console(width=120)
    stem = f"worker-{int(time.time())}-"
    console.print(f"{given.playbook}; before: {describe()}", highlight=False)
    table = Table(title=f"{given.events:,} events of {given.people:,} people, {given.mix}")
    for name in ("broker", "events/s", "CPU s per M", "peak MiB", "load", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    with broker(given.bootstrap) as (bootstrap, meter):
        for kind, runs in measure_throughput(given, bootstrap, stem, meter).items():
            rate = given.events / median(r.seconds for r in runs)
            own = settings(given, bootstrap, f"{stem}latency-{kind}-", kind)
            load = LOAD * rate
            steady = list(invent(given, int(given.seconds * load)))
            waits = measure_latency(own, HOME, load, steady)
            print(f"{kind}: {runs}\n{waits}", file=sys.stderr)
            table.add_row(
                kind,
                f"{rate:,.0f}",
                f"{median(r.cpu for r in runs) * 1e6 / given.events:.1f}",
                f"{median(r.peak for r in runs) / (1 << 20):.0f}",
                f"{waits.rate:,.0f}/s",
                f"{waits.p50:.0f}",
                f"{waits.p99:.0f}",
            )
        console.print(table)
        own = settings(given, bootstrap, f"{stem}recovery-", "kafka")
        back = measure_recovery(own, HOME, given.profiles)
        console.print(
            f"recovery of {back.profiles:,} profiles of {back.row_bytes:.0f} bytes: "
            f"{back.restore:.1f} s ({back.profiles / back.restore:,.0f}/s); "
            f"{back.ready:.1f} s from the start of the process",
            highlight=False,
        )
        show_profile(given, bootstrap, stem, console)
    console.print(f"after: {describe()}", highlight=False)


if __name__ == "__main__":
    main()
