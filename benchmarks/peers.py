"""The same job on the same broker in the same run: Touchline, Faust, Quix Streams, Kafka Streams.

    python benchmarks/peers.py [--events N] [--people N] [--runs N] [--only NAME ...] [--json FILE]

The job is in peers/job.py. Every peer reads one filled topic of Avro touchpoints from its start,
as a fresh group, and is timed from its first record to the commit of the last. What it wrote is
held against an oracle. Needs Linux, Java 17 with javac, and Maven; starts its own Kafka.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from statistics import median

from peers.builds import build_quix, build_streams, find_versions
from peers.job import Asked, expect, invent, told
from peers.machine import HOME, ROOT, Meter, broker, describe
from peers.runs import Peer, Result, RunError, measure, read_topic
from rich.console import Console
from rich.table import Table

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.publisher import Publisher

BASE = "faust"
FULL = "touchline-worker"
PLAYBOOK = "second-purchase"
RATE = 100.0
"""Events a second, by their own times."""
COLUMNS = (
    "events/s", "x Faust", "CPU s per M", "x less than Faust", "with start-up", "broker's",
    "peak MiB",
)  # fmt: skip
SCHEMAS = ROOT / "schemas" / "avro"


def list_peers(quix: Path, streams: list[str]) -> list[Peer]:
    """Return everyone who takes part, by the names that ``--only`` takes."""
    here, touchline = (sys.executable, "-m"), (sys.executable, "-m", "peers.touchline")
    state = str(HOME / "kafka-streams" / "state")
    java, its = tuple(streams), (str(SCHEMAS), state)
    quixstreams = (str(quix), "-m", "peers.quix")
    return [
        Peer(BASE, (*here, "peers.faust_plain")),
        Peer("quix", quixstreams, ("at-least-once",)),
        Peer("quix-exactly-once", quixstreams, ("exactly-once",)),
        Peer("kafka-streams", java, ("at_least_once", *its)),
        Peer("kafka-streams-exactly-once", java, ("exactly_once_v2", *its)),
        Peer("touchline", touchline, ("fold", "plain")),
        Peer("touchline-exactly-once", touchline, ("fold", "kafka")),
        Peer(FULL, touchline, (PLAYBOOK, "kafka")),
    ]


def fill(bootstrap: str, prefix: str, events: int, people: int) -> tuple[str, set[Asked]]:
    """Publish the events; return the topic's name and the actions they must lead to."""
    topics = load_topics()
    create_topics(bootstrap, [topics["touchpoints"]], prefix=prefix)
    source = f"{prefix}touchpoints"
    start = int((time.time() - events / RATE) * 1000)
    with Publisher(bootstrap, source, Codec()) as publisher:
        for touchpoint in invent(events, people, start, RATE):
            publisher.publish(touchpoint)
    return source, expect(invent(events, people, start, RATE))


def check(peer: Peer, bootstrap: str, prefix: str, expected: set[Asked]) -> None:
    """Hold a peer's actions against the oracle: each there once, with what it must say.

    Raises:
        RunError: they differ.
    """
    decode = Codec().decode_action
    records = read_topic(bootstrap, f"{prefix}actions.message")
    found = [told(decode(record.value)) for record in records]
    if len(found) != len(expected) or set(found) != expected:
        raise RunError(
            f"{peer.name} wrote {len(found)} actions, {len(set(found))} different, of which "
            f"{len(set(found) & expected)} are among the {len(expected)} expected"
        )


def fold_log(bootstrap: str, source: str) -> set[str]:
    """Return the ids of the facts that a pure fold of the log gives: the whole worker's oracle."""
    playbook, decode = compile_playbook(find_playbook(PLAYBOOK)), Codec().decode_touchpoint
    partitions: dict[int, Partition] = {}
    facts = set()
    for record in read_topic(bootstrap, source):
        if record.partition not in partitions:
            partitions[record.partition] = Partition(playbook, {})
        touch = (decode(record.value), record.timestamp)
        facts |= {fact.fact_id for fact in partitions[record.partition].apply([touch]).facts}
    return facts


def check_worker(bootstrap: str, prefix: str, expected: set[str]) -> None:
    """Hold the whole worker's facts against the pure fold, and its dead letters against none.

    Raises:
        RunError: they differ.
    """
    decode = Codec().decode_fact
    found = [decode(each.value).fact_id for each in read_topic(bootstrap, f"{prefix}facts")]
    dead = len(read_topic(bootstrap, f"{prefix}dead-letters"))
    if len(found) != len(expected) or set(found) != expected or dead:
        raise RunError(
            f"{FULL} wrote {len(found)} facts, {len(set(found) & expected)} of the {len(expected)} "
            f"expected, and {dead} dead letters"
        )


def summarize(peers: Sequence[Peer], results: dict[str, list[Result]], events: int) -> Table:
    """Return the table of medians, with ratios against plain Faust."""
    table = Table(title=f"medians of {len(results[peers[0].name])} runs over {events:,} events")
    table.add_column("peer")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    base = _medians(results[BASE]) if results.get(BASE) else None
    for peer in peers:
        own = _medians(results[peer.name])
        table.add_row(
            peer.name,
            f"{events / own.seconds:,.0f}",
            f"{base.seconds / own.seconds:.1f}" if base else "",
            f"{own.cpu * 1e6 / events:.1f}",
            f"{base.cpu / own.cpu:.1f}" if base else "",
            f"{own.whole_cpu * 1e6 / events:.1f}",
            f"{own.broker_cpu * 1e6 / events:.1f}",
            f"{own.peak / (1 << 20):.0f}",
        )
    return table


def _medians(runs: list[Result]) -> Result:
    return Result(*(median(values) for values in zip(*map(astuple, runs), strict=True)))


def rotate(peers: Sequence[Peer], run: int, runs: int) -> list[Peer]:
    """Return the order of a run: nobody is always first on a cold broker."""
    first = run * len(peers) // runs
    return [*peers[first:], *peers[:first]]


def compare(
    peers: Sequence[Peer], bootstrap: str, meter: Meter | None, given: argparse.Namespace
) -> dict[str, list[Result]]:
    """Run everyone, in a rotated order each time; return the results by name."""
    stem = f"bench-{int(time.time())}-"
    source, expected = fill(bootstrap, stem, given.events, given.people)
    facts = fold_log(bootstrap, source) if FULL in {peer.name for peer in peers} else set()
    print(f"{given.events:,} events filled, {len(expected):,} actions expected", file=sys.stderr)
    results: dict[str, list[Result]] = {peer.name: [] for peer in peers}
    for run in range(given.runs):
        for peer in rotate(peers, run, given.runs):
            prefix = f"{stem}{run}-{peer.name}-"
            result = measure(peer, bootstrap, source, prefix, meter)
            if peer.name == FULL:
                check_worker(bootstrap, prefix, facts)
            else:
                check(peer, bootstrap, prefix, expected)
            results[peer.name].append(result)
            print(f"{run + 1} {peer.name}: {asdict(result)}", file=sys.stderr)
    return results


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these peers (default: all)")
    parser.add_argument("--bootstrap", help="a Kafka that runs (default: one is started)")
    parser.add_argument("--json", type=Path, help="write every run's figures there, too")
    given = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    quix = build_quix()
    peers = list_peers(quix, build_streams())
    if given.only:
        unknown = set(given.only) - {peer.name for peer in peers}
        if unknown:
            parser.error(f"no such peer: {unknown}; there are {[peer.name for peer in peers]}")
        peers = [peer for peer in peers if peer.name in given.only]
    console, versions = Console(width=120), find_versions(quix)
    before = describe()
    with broker(given.bootstrap) as (bootstrap, meter):
        results = compare(peers, bootstrap, meter, given)
    console.print(f"before: {before}\nafter:  {describe()}", highlight=False)
    console.print(", ".join(f"{name} {each}" for name, each in versions.items()), highlight=False)
    console.print(summarize(peers, results, given.events))
    if given.json:
        runs = {name: [asdict(each) for each in rs] for name, rs in results.items()}
        given.json.write_text(json.dumps({"versions": versions, "machine": before, "runs": runs}))


if __name__ == "__main__":
    main()
