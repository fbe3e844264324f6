"""What it takes to put a line wrong on purpose, and to see what its proof says."""

from types import SimpleNamespace
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from the_line import TheLine

from schemas.records import Touchpoint
from schemas.topics import load_topics

Rows = list[Any]


def ordered(user: int, at: int) -> Touchpoint:
    """Return an order of nine dollars."""
    paid = {"order_id": f"o{user}", "amount_minor": 900, "currency": "USD"}
    return Touchpoint(f"e{user}", f"p{user}", at, "order_paid", paid)


def forget(line: TheLine, name: str, until: int) -> None:
    """Delete the first records of partition 0 of a topic, as retention does."""
    admin = KafkaAdminClient(bootstrap_servers=line.settings.bootstrap)
    try:
        admin.delete_records({TopicPartition(line.settings.topic(name), 0): until})
    finally:
        admin.close()


def write(line: TheLine, rows: dict[str, Rows]) -> None:
    """Write records to the topics of a line, in their partitions and with their times."""
    producer = KafkaProducer(bootstrap_servers=line.settings.bootstrap)
    for name, written in rows.items():
        assert name in load_topics()
        for row in written:
            producer.send(
                line.settings.topic(name), row.value, row.key, partition=row.partition,
                timestamp_ms=row.timestamp,
            )  # fmt: skip
    producer.flush()
    producer.close()


def with_value(row: Any, value: bytes) -> Any:
    """Return a record with another value."""
    return SimpleNamespace(
        partition=row.partition, timestamp=row.timestamp, key=row.key, value=value
    )
