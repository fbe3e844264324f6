"""How long a worker takes to come back with so many profiles: nothing on its disk, all to read."""

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import msgspec
from aiokafka.partitioner import DefaultPartitioner

from peers.job import invent
from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import Profile
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.outbox import new_producer, send_rows
from streams.rows import Ledger, to_rows
from streams.settings import Settings

PATTERNS = 1000
EVENTS = 5
"""So many people are folded, over so many events each; the rest are copies by another name."""


class Recovery(NamedTuple):
    """What a start took, in seconds."""

    profiles: int
    row_bytes: float
    restore: float
    """From the assignment of the partitions until the shards stand."""
    ready: float
    """From the start of the process until it takes records: imports and the group's join too."""


def measure_recovery(settings: Settings, folder: Path, profiles: int) -> Recovery:
    """Write a changelog of so many profiles, then start a worker on it."""
    create_topics(settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix)
    size = asyncio.run(write_changelog(settings, profiles))
    began = time.monotonic()
    with Child("worker", settings, folder, log_name=f"{settings.topic_prefix}worker") as child:
        child.wait_ready()
        ready = time.monotonic() - began
        metrics = _read_metrics(f"{child.url}/metrics")
    held = sum(value for name, value in metrics.items() if name.startswith("touchline_profiles{"))
    if held != profiles:
        raise RuntimeError(f"the worker holds {held:.0f} of {profiles} profiles")
    return Recovery(profiles, size / profiles, metrics["touchline_recovery_seconds"], ready)


def _fold_patterns(settings: Settings) -> tuple[Partition, dict[str, Profile]]:
    playbook = find_playbook(settings.playbook)
    patterns: dict[str, Profile] = {}
    partition = Partition(compile_playbook(playbook), patterns)
    start = int(time.time() * 1000) - 60_000
    touchpoints = invent(PATTERNS * EVENTS, PATTERNS, start, PATTERNS, playbook.currency)
    partition.apply((touchpoint, touchpoint.occurred_at) for touchpoint in touchpoints)
    return partition, patterns


async def write_changelog(settings: Settings, profiles: int) -> int:
    """Write a changelog of so many profiles, each where its events go; return its size in bytes."""
    (folded, patterns), size = _fold_patterns(settings), 0
    partitions = load_topics()["profiles-changelog"].partitions

    places: list[list[str]] = [[] for _ in range(partitions)]
    choose, numbers = DefaultPartitioner(), list(range(partitions))
    for name in map("u-{:07}".format, range(profiles)):
        places[choose(name.encode(), numbers, numbers)].append(name)

    def rows(partition: int) -> Iterator[tuple[bytes, bytes]]:
        nonlocal size
        people, clock = 0, int(time.time() * 1000)
        for first in range(0, len(places[partition]), PATTERNS):
            names = places[partition][first : first + PATTERNS]
            changed = {
                name: msgspec.structs.replace(pattern, user_id=name)
                for name, pattern in zip(names, cycle(patterns.values()), strict=False)
            }
            for name, pattern in zip(names, cycle(patterns), strict=False):
                folded.due.enter(name, folded.due.entered(pattern) or clock)
            people += len(names)
            for row in to_rows(changed, Ledger(-1, 0, clock, people=people, lineage=b"0"), folded):
                size += len(row[0]) + len(row[1])
                yield row

    producer = new_producer(settings)
    await producer.start()
    try:
        for partition in range(partitions):
            await send_rows(
                producer, settings.topic("profiles-changelog"), partition, rows(partition)
            )
    finally:
        await producer.stop()
    return size


def _read_metrics(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own loopback page
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }
