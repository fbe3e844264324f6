"""What a run needs of the machine: a broker of its own, and what a process tree has used.

Reads ``/proc``, so Linux only.
"""

import importlib.util
import os
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".touchline" / "bench"
COORDINATOR_SECONDS = 30.0
NOT_YET = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)
TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """CPU and memory of a process and of all that it has started."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def cpu(self) -> float:
        """Return the seconds of CPU used so far, user and system; children that ended count."""
        return sum(_cpu_ticks(pid) for pid in _tree(self._pid)) / TICKS

    def peak(self) -> int:
        """Return the greatest resident memory, in bytes: the sum of each living process's own."""
        return sum(_memory(pid, "VmHWM") for pid in _tree(self._pid))

    def resident(self) -> int:
        """Return the resident memory now, in bytes."""
        return sum(_memory(pid, "VmRSS") for pid in _tree(self._pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _cpu_ticks(pid: int) -> int:
    # proc(5): after the command in brackets, utime is the 12th field; stime, cutime, cstime follow.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _memory(pid: int, measure: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{measure}:"):
            return int(line.split()[1]) * 1024
    return 0


def load_kafka() -> ModuleType:
    """Return deploy/kafka/broker.py, by its file: its folder would hide kafka-python."""
    place = ROOT / "deploy" / "kafka" / "broker.py"
    spec = importlib.util.spec_from_file_location("kafka_broker", place)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{place} is missing: run from a checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def broker(given: str | None) -> Iterator[tuple[str, Meter | None]]:
    """Lend a broker: the given one, or a new Apache Kafka that is wiped afterwards.

    Yields:
        Its ``host:port``, and its meter where it is ours.
    """
    if given:
        yield given, None
        return
    kafka = load_kafka()
    own = kafka.KafkaBroker(HOME / f"kafka-{os.getpid()}", _free_port(), _free_port())
    own.start()
    try:
        _await_coordinator(own.bootstrap)
        yield own.bootstrap, Meter(own.pid)
    finally:
        own.wipe()


def _await_coordinator(bootstrap: str) -> None:
    """Let a new broker make its topic of offsets: Faust's first join does not wait for it."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    deadline = time.monotonic() + COORDINATOR_SECONDS
    try:
        while True:
            try:
                admin.list_group_offsets({"warm-up": [TopicPartition("none", 0)]})
            except NOT_YET:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return
    finally:
        admin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def describe() -> str:
    """Return one line on the machine, and how busy it is now."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average {load}"
    )
