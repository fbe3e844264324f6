"""Run one peer over the filled topic: from its first record to the commit of the last."""

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaAdminClient
from kafka import TopicPartition as AdminPartition
from kafka.admin import OffsetSpec

from peers.machine import HOME, ROOT, Meter
from schemas.topics import load_topics
from streams.admin import create_topics

START_SECONDS = 60.0
RUN_SECONDS = 900.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
Ends: TypeAlias = dict[AdminPartition, int]


class RunError(RuntimeError):
    """A peer failed, stood still, or wrote something else than the oracle says."""


@dataclass(frozen=True)
class Peer:
    """A peer and the command that runs it, up to the common arguments."""

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a run took; CPU is user and system, of the whole process tree."""

    seconds: float
    """From the first record to the commit of the last."""
    cpu: float
    """Seconds of CPU in that time."""
    whole_cpu: float
    """Seconds of CPU since the process started: imports and joining the group included."""
    broker_cpu: float
    """Seconds of CPU of the broker in the run's time; 0 where it is not ours."""
    peak: int
    """Greatest resident memory, in bytes."""


def measure(
    peer: Peer,
    bootstrap: str,
    source: str,
    prefix: str,
    broker: Meter | None,
    begun: Callable[[int], None] = lambda _: None,
) -> Result:
    """Run a peer with a fresh group and prefix until it has committed the whole topic.

    ``begun`` is called with the process id at the first record.

    Raises:
        RunError: it ended, or stood still for too long.
    """
    create_topics(
        bootstrap, [t for t in load_topics().values() if t.name != "touchpoints"], prefix=prefix
    )
    log = HOME / f"{prefix}log"
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'benchmarks'}:{ROOT}"}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*peer.command, bootstrap, source, prefix, *peer.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=environ,
        )
    meter = Meter(process.pid)
    try:
        _await_first(process)
        begun(process.pid)
        began, cpu, broker_cpu = time.monotonic(), meter.cpu(), broker.cpu() if broker else 0.0
        await_commit(bootstrap, source, f"{prefix}group", lambda: _check(process))
        seconds = time.monotonic() - began
        whole = meter.cpu()
        spent = broker.cpu() - broker_cpu if broker else 0.0
        return Result(seconds, whole - cpu, whole, spent, meter.peak())
    except RunError as error:
        tail = log.read_text(errors="replace").strip()[-3000:]
        raise RunError(f"{peer.name}: {error}; the end of {log}:\n{tail}") from None
    finally:
        _stop(process)


def _await_first(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    if process.stdout is None:
        raise RunError("it has no standard output")
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1.0)[0]:
            line = process.stdout.readline()
            if line.rstrip().endswith(b"first"):  # Faust writes a code for the terminal before it
                return
            if not line:
                raise RunError(f"it ended with exit code {process.wait()}")
    raise RunError(f"no record in hand after {START_SECONDS:.0f} s")


def _check(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise RunError(f"it ended with exit code {process.returncode}")


def await_commit(bootstrap: str, source: str, group: str, check: Callable[[], None]) -> None:
    """Wait until the group has committed all that the topic now holds.

    ``check`` is called all the while, to raise when whoever should commit has ended.

    Raises:
        RunError: it took too long.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        ends = ends_of(admin, source)
        deadline = time.monotonic() + RUN_SECONDS
        while left := behind(admin, group, ends):
            check()
            if time.monotonic() > deadline:
                raise RunError(f"{left:,} records not committed after {RUN_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
    finally:
        admin.close()


def ends_of(admin: KafkaAdminClient, source: str) -> Ends:
    """Return the offset after the last record of each partition of a topic of touchpoints."""
    places = [AdminPartition(source, p) for p in range(load_topics()["touchpoints"].partitions)]
    found = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return {place: found[place].offset for place in places}


def behind(admin: KafkaAdminClient, group: str, ends: Ends) -> int:
    """Return how many records before these ends the group has not committed."""
    done = admin.list_group_offsets({group: list(ends)})[group]
    return sum(max(0, end - max(0, done[place].offset)) for place, end in ends.items())


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_topic(bootstrap: str, topic: str) -> list[Any]:
    """Return all committed records of a topic, in the order of each partition."""
    return asyncio.run(_read(bootstrap, topic))


async def _read(bootstrap: str, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=8 << 20,
    )
    places = [TopicPartition(topic, p) for p in range(load_topics()["touchpoints"].partitions)]
    consumer.assign(places)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(places)
        records: list[Any] = []
        while behind := [p for p in places if await consumer.position(p) < ends[p]]:
            for found in (await consumer.getmany(*behind, timeout_ms=1000)).values():
                records += found
        return records
    finally:
        await consumer.stop()
