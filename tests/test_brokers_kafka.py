"""deploy/kafka: a real Kafka on this machine that starts, stops, breaks and comes back."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from brokers import DEPLOY, KafkaBroker, free_ports, kafka_broker, new_broker
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition
from the_line import await_that

BrokerError = kafka_broker.BrokerError
answers = kafka_broker.answers
MakeBroker = Callable[[], KafkaBroker]


def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run(
        [sys.executable, DEPLOY / "kafka.py", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def publish(bootstrap: str, values: list[bytes]) -> None:
    """Write values to the topic ``kept``, which is created if need be."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({"kept": {"num_partitions": 1}}, raise_errors=False)
        admin.wait_for_topics(["kept"])
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for value in values:
            producer.send("kept", value).get(timeout=60)


def consume(bootstrap: str, number: int) -> list[bytes]:
    """Read so many values of the topic ``kept`` from its start."""
    with KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=60_000) as consumer:
        consumer.assign([TopicPartition("kept", 0)])
        consumer.seek_to_beginning()
        return [record.value for _, record in zip(range(number), consumer, strict=False)]


@pytest.mark.kafka
def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    """Start, status, stop and wipe each print one plain line, and start twice starts once."""
    (port,) = free_ports(1)
    here = ("--data", str(tmp_path / "kafka"))

    started = run("start", *here, "--port", str(port))
    assert started.returncode == 0, started.stderr
    assert f"Kafka is ready on 127.0.0.1:{port} (pid " in started.stdout
    assert answers(port)

    assert f"Kafka runs already on 127.0.0.1:{port}" in run("start", *here).stdout
    assert f"Kafka runs on 127.0.0.1:{port} (pid " in run("status", *here).stdout
    assert run("stop", *here).stdout.startswith("Kafka stopped (pid ")
    assert not answers(port)

    status = run("status", *here)
    assert (status.returncode, status.stdout) == (3, "Kafka is not running\n")
    assert run("stop", *here).stdout == "Kafka was not running\n"
    assert "deleted" in run("wipe", *here).stdout
    assert not (tmp_path / "kafka").exists()


@pytest.mark.kafka
def test_records_outlive_a_crash(make_broker: MakeBroker) -> None:
    """What was acknowledged is read after kill -9 and a new start, on the same address."""
    broker = make_broker()
    broker.start()
    publish(broker.bootstrap, [b"one", b"two"])

    broker.kill()
    assert broker.pid is None
    assert not answers(broker.port)

    broker.start()
    publish(broker.bootstrap, [b"three"])
    assert consume(broker.bootstrap, 3) == [b"one", b"two", b"three"]


@pytest.mark.nightly
@pytest.mark.kafka
def test_an_acknowledged_transaction_outlives_a_crash(make_broker: MakeBroker) -> None:
    """All that a commit covers becomes visible when the broker is killed right after its answer.

    The answer comes before the marks are written: those that are missing are written after the
    start. Kafka 4.3.0 to 4.4.0 drops them (KAFKA-20734), in about every second try of these.
    """
    broker = make_broker()
    broker.start()
    places = [TopicPartition("many", number) for number in range(200)]
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.create_topics({"many": {"num_partitions": len(places)}})
        admin.wait_for_topics(["many"])

    for _ in range(4):
        asyncio.run(commit_and(broker.kill, broker.bootstrap, places))
        broker.start()
        await_that(lambda: not count_hidden(broker.bootstrap, places), "some are never visible")


def count_hidden(bootstrap: str, places: list[TopicPartition]) -> int:
    """Count the places with records that a reader of committed records cannot see."""
    ends = []
    for isolation in ("read_committed", "read_uncommitted"):
        with KafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation) as consumer:
            ends.append(consumer.end_offsets(places))
    return sum(ends[0][place] != ends[1][place] for place in places)


async def commit_and(
    kill: Callable[[], None], bootstrap: str, places: list[TopicPartition]
) -> None:
    """Commit one record in each place, and kill as soon as that is acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="crash")
    await producer.start()
    async with producer.transaction():
        sent = [await producer.send(p.topic, b"x", partition=p.partition) for p in places]
        await asyncio.gather(*sent)
    kill()
    await producer.stop()


@pytest.mark.kafka
def test_several_brokers_run_side_by_side_and_one_can_be_suspended(
    make_broker: MakeBroker,
) -> None:
    """Two brokers keep their own records; a suspended one is silent, alive, and can go on."""
    left, right = make_broker(), make_broker()
    left.start()
    right.start()
    publish(left.bootstrap, [b"left"])
    publish(right.bootstrap, [b"right"])

    left.suspend()
    assert not answers(left.port)
    assert left.pid is not None
    assert consume(right.bootstrap, 1) == [b"right"]

    left.resume()
    assert consume(left.bootstrap, 1) == [b"left"]
    left.suspend()
    left.stop()
    assert left.pid is None


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """When something listens on the port, start says which port and how to choose another."""
    broker = new_broker(tmp_path)
    error = pytest.raises(BrokerError, match=f"port {broker.port} is taken .* --port")
    with socket.create_server(("127.0.0.1", broker.port)), error:
        broker.start()


@pytest.mark.kafka
def test_a_broker_that_ends_while_starting_shows_its_log(make_broker: MakeBroker) -> None:
    """The error carries the end of the log, where Kafka says what it did not like."""
    broker = make_broker()
    broker.start()
    broker.stop()
    (broker.data / "log" / "meta.properties").write_text("version=1\nnode.id=77\n")

    with pytest.raises(BrokerError, match=r"No readable meta\.properties"):
        broker.start()


@pytest.mark.parametrize(
    ("missing", "cure"), [("java", "install Java 17"), ("mvn", "install Maven")]
)
def test_a_missing_program_comes_with_its_cure(
    missing: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Java, or without Maven before the first start, the error says what to install."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {"java", "mvn"} - {missing}:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(BrokerError, match=f"no {missing} .*{cure}"):
        KafkaBroker(tmp_path / "data", 1, 2, lib=tmp_path / "lib").start()


def test_only_a_broker_is_ever_signalled(tmp_path: Path) -> None:
    """A pid left behind by a dead broker, now the pid of another program, is let alone."""
    (tmp_path / "lock").touch()
    (tmp_path / "pid").write_text(str(os.getpid()))
    broker = new_broker(tmp_path)

    assert broker.pid is None
    broker.kill()


def test_wipe_deletes_only_the_folder_of_a_broker(tmp_path: Path) -> None:
    """A folder given by mistake is refused, with all that is in it."""
    (tmp_path / "thesis.txt").write_text("ten years of work")

    with pytest.raises(BrokerError, match="nothing was deleted"):
        new_broker(tmp_path).wipe()
    assert (tmp_path / "thesis.txt").exists()
