"""The brokers of the tests: which real Kafka to use, and Kafka processes that a test may break."""

import importlib.util
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType

DEPLOY = Path(__file__).resolve().parents[1] / "deploy" / "kafka"
_DRAW = random.SystemRandom()
_GIVEN: set[int] = set()


def _load_broker() -> ModuleType:
    """Load the module by its file: on the path, its folder would hide kafka-python."""
    spec = importlib.util.spec_from_file_location("kafka_broker", DEPLOY / "broker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kafka_broker = _load_broker()
KafkaBroker = kafka_broker.KafkaBroker


def free_ports(number: int) -> list[int]:
    """Return so many loopback ports that are free now, none of which was returned before.

    They are below those that a system hands out by itself, so that no client's connection takes
    the port of a broker that is down for a moment. A port is free until its owner listens: so the
    processes of one test run draw from different ones, and Hypothesis's seed does not count.
    """
    side = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    sides = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    found: list[int] = []
    while len(found) < number:
        port = _DRAW.randrange(10_000 + side, 32_000, sides)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                found.append(port)
                _GIVEN.add(port)
    return found


def new_broker(folder: Path) -> "KafkaBroker":
    """Return a broker of its own folder and ports, not started; the jars are the project's."""
    port, controller_port = free_ports(2)
    return KafkaBroker(folder, port, controller_port)


def new_cluster(folder: Path, size: int = 3) -> list["KafkaBroker"]:
    """Return the brokers of a cluster, not started; its topics are replicated."""
    ports = free_ports(2 * size)
    voters = {number: ports[size + number - 1] for number in range(1, size + 1)}
    cluster = kafka_broker.new_cluster_id()
    return [
        KafkaBroker(
            folder / f"broker-{number}", ports[number - 1], controller,
            node=number, voters=voters, cluster=cluster,
        )
        for number, controller in voters.items()
    ]  # fmt: skip


def choose_kafka() -> str:
    """Return where the tests take their Kafka from: ``given``, ``docker`` or ``maven``."""
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return "given"
    return "docker" if has_docker() else "maven"


@cache
def has_docker() -> bool:
    """Tell whether a Docker engine answers."""
    # In a process of its own: a failed attempt leaves a socket to the garbage collector.
    ping = "import docker; docker.from_env(timeout=5).ping()"
    answer = subprocess.run([sys.executable, "-c", ping], capture_output=True, check=False)
    return not answer.returncode


@contextmanager
def kafka(source: str) -> Iterator[str]:
    """Run the Kafka of this source and give its bootstrap address; stop what was started."""
    if source == "given":
        yield os.environ["KAFKA_BOOTSTRAP"]
    elif source == "docker":
        with _container() as bootstrap:
            yield bootstrap
    else:
        with tempfile.TemporaryDirectory(prefix="touchline-kafka-") as folder:
            broker = new_broker(Path(folder) / "broker")
            broker.start()
            try:
                yield broker.bootstrap
            finally:
                broker.kill()


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415 - only with Docker

    # The same settings as those of deploy/kafka/server.properties.
    settings = {
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    }
    container = KafkaContainer("confluentinc/cp-kafka:7.9.0").with_kraft()
    for name, value in settings.items():
        container.with_env(name, value)
    with container:
        yield container.get_bootstrap_server()
