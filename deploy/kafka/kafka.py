"""Run a real Apache Kafka on this machine: no Docker, no installation, loopback only.

    python deploy/kafka/kafka.py start | stop | status | wipe   [--data DIR] [--port N]

Maven copies the broker's jars (``pom.xml``) into ``.kafka`` of the project, once. A broker is
one Java process that is both broker and controller (KRaft); all it writes is under ``--data``.
Give each broker its own folder and port to run several. Needs Java 17 or newer, and Maven for the
first start.
"""

import argparse
import sys
import time
from pathlib import Path

from broker import HOME, BrokerError, KafkaBroker, answers


def start(data: Path, port: int | None) -> int:
    """Start the broker unless it runs."""
    before = KafkaBroker.started_in(data)
    if before and before.pid is not None:
        if port not in {None, before.port}:
            raise BrokerError(f"a broker runs in {data} on port {before.port}: stop it first")
        print(f"Kafka runs already on {before.bootstrap} (pid {before.pid})")
        return 0
    broker = KafkaBroker(data, port or 9092)
    began = time.monotonic()
    broker.start()
    took = time.monotonic() - began
    print(f"Kafka is ready on {broker.bootstrap} (pid {broker.pid}, {took:.1f} s)")
    return 0


def stop(data: Path) -> int:
    """Stop the broker if it runs."""
    broker = KafkaBroker.started_in(data)
    pid = broker.pid if broker else None
    if broker:
        broker.stop()
    print(f"Kafka stopped (pid {pid})" if pid else "Kafka was not running")
    return 0


def status(data: Path) -> int:
    """Say whether the broker runs: exit code 0, or 3 as of the Linux Standard Base."""
    broker = KafkaBroker.started_in(data)
    if broker is None or broker.pid is None:
        print("Kafka is not running")
        return 3
    state = "answers" if answers(broker.port) else "does NOT answer"
    print(f"Kafka runs on {broker.bootstrap} (pid {broker.pid}) and {state}; data in {data}")
    return 0


def wipe(data: Path) -> int:
    """Stop the broker and delete all that it wrote."""
    KafkaBroker(data).wipe()
    print(f"Kafka stopped, {data} deleted")
    return 0


def main() -> int:
    """Read the command line; an error is one plain message and exit code 1."""
    parser = argparse.ArgumentParser(description="Apache Kafka on this machine, loopback only.")
    parser.add_argument("command", choices=("start", "stop", "status", "wipe"))
    parser.add_argument("--data", type=Path, default=HOME / "data", help="its folder (.kafka/data)")
    parser.add_argument("--port", type=int, help="its port (9092); the controller takes the next")
    given = parser.parse_args()
    try:
        if given.command == "start":
            return start(given.data, given.port)
        return {"stop": stop, "status": status, "wipe": wipe}[given.command](given.data)
    except BrokerError as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
