"""How fast the profiles come back: from an empty disk, from an intact one, and from memory's view.

    python benchmarks/recovery.py [PROFILES] [--playbook NAME] [--bootstrap HOST:PORT]

Writes a changelog of so many profiles to a real Kafka (its own, unless one is given), then
measures in a process each: reading it and doing nothing (the limit), memory, RocksDB on an empty
disk, and RocksDB once more with its disk as the last one left it.
"""

import argparse
import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from aiokafka import TopicPartition
from peers.machine import broker, describe
from peers.recovery import write_changelog
from rich.console import Console
from rich.table import Table

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.restore import changelog_reader, read_to, restore_shards
from streams.settings import Settings
from streams.stores import Stores

RUNS = ("nothing", "memory", "rocksdb", "rocksdb again")


async def recover(run: str, settings: Settings) -> int:
    """Bring everything back; return the number of profiles, or of rows where nothing is kept."""
    partitions = set(range(load_topics()["profiles-changelog"].partitions))
    if run == "nothing":
        topic = settings.topic("profiles-changelog")
        tps = [TopicPartition(topic, number) for number in sorted(partitions)]
        async with changelog_reader(settings, tps) as consumer:
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            return sum(
                [len(records) async for _, records in read_to(consumer, tps, ends, tells_ends=True)]
            )
    playbook = compile_playbook(find_playbook(settings.playbook))
    stores = Stores(settings, playbook)
    shards = await restore_shards(settings, playbook, partitions, {}, stores)
    stores.close()
    return sum(shard.account.people for shard in shards.values())


def measure(run: str, given: argparse.Namespace) -> None:
    """Recover in this process, and print what it took."""
    settings = Settings(
        bootstrap=given.bootstrap, topic_prefix=given.prefix, data=given.data,
        playbook=given.playbook,
        store="rocksdb" if run.startswith("rocksdb") else "memory",
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    found = asyncio.run(recover(run, settings))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(found, taken, cpu, (peak - before) / 1024)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profiles", type=int, nargs="?", default=200_000)
    parser.add_argument("--playbook", default="refined-retail")
    parser.add_argument("--bootstrap", help="a Kafka that runs (default: one is started)")
    for name in ("prefix", "data", "run"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        measure(given.run, given)
        return
    table = Table("store", "profiles", "s", "CPU s", "profiles/s", "peak MiB more", "of the limit")
    folder, prefix, limit = tempfile.mkdtemp(), f"recovery-{int(time.time())}-", 0.0
    with broker(given.bootstrap) as (bootstrap, _):
        settings = Settings(bootstrap=bootstrap, topic_prefix=prefix, playbook=given.playbook)
        create_topics(bootstrap, load_topics().values(), prefix=prefix)
        size = asyncio.run(write_changelog(settings, given.profiles))
        for run in RUNS:
            command = [sys.executable, __file__, "--run", run, "--data", folder]
            command += ["--prefix", prefix, "--bootstrap", bootstrap, "--playbook", given.playbook]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            found, seconds, cpu, peak = map(float, done.stdout.split())
            limit = limit or cpu
            table.add_row(
                run, f"{found:,.0f}", f"{seconds:.1f}", f"{cpu:.1f}",
                f"{given.profiles / seconds:,.0f}", f"{peak:,.0f}", f"{cpu / limit:.2f}",
            )  # fmt: skip
    shutil.rmtree(folder)
    table.title = f"profiles of {given.playbook}, {size / given.profiles:.0f} bytes each"
    Console(width=110).print(table, describe())


if __name__ == "__main__":
    main()
