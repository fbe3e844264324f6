"""Sending rows to a named partition: whole record batches, each acknowledged by the broker."""

from collections.abc import Awaitable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.settings import Settings

BATCH_BYTES = 900_000
REQUEST_BYTES = 6_291_456  # holds a dead letter with a touchpoint of 4 MiB whole

Row = tuple[bytes | None, bytes]
"""A key and a value."""


def new_producer(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Return a producer for whole batches, not started. Needs the running loop."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        acks="all",
        enable_idempotence=settings.broker == "kafka",
        transactional_id=transactional_id,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        request_timeout_ms=30_000,
    )


async def send_rows(
    producer: AIOKafkaProducer, topic: str, partition: int, rows: Iterable[Row]
) -> int:
    """Send rows in their order, all acknowledged; return the offset after the last, 0 if none.

    Raises:
        aiokafka.errors.KafkaError: a batch was not acknowledged; it may be there all the same.
    """
    sent: list[tuple[int, Awaitable[Any]]] = []

    async def dispatch(batch: BatchBuilder) -> None:
        delivery = await producer.send_batch(batch, topic, partition=partition)
        sent.append((batch.record_count(), delivery))

    batch = producer.create_batch()
    for key, value in rows:
        if batch.append(key=key, value=value, timestamp=None) is None:
            await dispatch(batch)
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        await dispatch(batch)
    return max([count + (await delivery).offset for count, delivery in sent], default=0)
