"""From a publish to what it causes: latency at a steady rate, against the schedule.

The time counts from when a record was due to be published, not from when it was, so a load
generator that falls behind shows as latency instead of hiding it (coordinated omission).
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from msgspec.structs import replace

from peers.runs import await_commit
from schemas.codec import Codec
from schemas.records import Touchpoint
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.outbox import new_producer, send_rows
from streams.settings import Settings

TICK_SECONDS = 0.01
SETTLE_SECONDS = 3.0
"""Left out at the start: the worker's first batches meet cold caches."""


class Latency(NamedTuple):
    """Milliseconds from the due time of a publish until a reader has what it caused."""

    rate: float
    events: int
    p50: float
    p99: float
    worst: float
    behind: float
    """How late the generator was at worst; part of the latencies above."""


def measure_latency(
    settings: Settings, folder: Path, rate: float, touchpoints: Sequence[Touchpoint]
) -> Latency:
    """Run the worker and publish at ``rate`` events/s, each as if it happened when it is due.

    What is timed is each fact and action that names an event as its cause: all of them leave the
    worker in one transaction. Of an event that is published twice the first time counts.
    """
    create_topics(settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix)
    with Child("worker", settings, folder, log_name=f"{settings.topic_prefix}worker") as child:
        child.wait_ready()
        return asyncio.run(_run(settings, child, rate, touchpoints))


Schedule = list[list[tuple[float, bytes, bytes]]]
"""For each partition its records: seconds after the start, key, value."""


def _schedule(rate: float, touchpoints: Sequence[Touchpoint]) -> Schedule:
    codec, choose = Codec(), DefaultPartitioner()
    partitions = list(range(load_topics()["touchpoints"].partitions))
    start = int(time.time() * 1000)
    schedule: Schedule = [[] for _ in partitions]
    for number, touchpoint in enumerate(touchpoints):
        key = touchpoint.user_id.encode()
        now = replace(touchpoint, occurred_at=start + int(number * 1000 / rate))
        record = (number / rate, key, codec.encode_touchpoint(now))
        schedule[choose(key, partitions, partitions)].append(record)
    return schedule


async def _run(
    settings: Settings, child: Child, rate: float, touchpoints: Sequence[Touchpoint]
) -> Latency:
    schedule = _schedule(rate, touchpoints)
    producer = new_producer(settings.model_copy(update={"broker": "kafka"}))
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=10,
    )
    names = ("facts", "actions.message", "actions.lead", "actions.benefit", "actions.tag_sync")
    consumer.assign(
        [
            TopicPartition(settings.topic(name), partition)
            for name in names
            for partition in range(load_topics()[name].partitions)
        ]
    )
    await producer.start()
    await consumer.start()
    seen: list[tuple[float, str, bytes]] = []
    reader = asyncio.create_task(_read(consumer, seen))
    try:
        began = time.time() + 0.2
        topic = settings.topic("touchpoints")
        behind = max(
            await asyncio.gather(
                *(
                    _publish(producer, topic, partition, records, began)
                    for partition, records in enumerate(schedule)
                )
            )
        )
        # What was left out because it came too late would be the worst of all.
        await asyncio.to_thread(
            await_commit, settings.bootstrap, topic, settings.group, child.check
        )
        await asyncio.sleep(1.0)
    finally:
        reader.cancel()
        await consumer.stop()
        await producer.stop()
    due: dict[str, float] = {}
    for number, touchpoint in enumerate(touchpoints):
        due.setdefault(touchpoint.event_id, number / rate)
    return _reckon(seen, settings.topic("facts"), began, rate, due, behind)


async def _publish(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[tuple[float, bytes, bytes]],
    began: float,
) -> float:
    """Send what is due, one acknowledged batch after the other; return the greatest delay."""
    done, behind = 0, 0.0
    while done < len(records):
        now = time.time() - began
        due = bisect_right(records, now, lo=done, key=itemgetter(0))
        if due == done:
            await asyncio.sleep(TICK_SECONDS)
            continue
        behind = max(behind, now - records[done][0])
        await send_rows(producer, topic, partition, [(k, v) for _, k, v in records[done:due]])
        done = due
    return behind * 1000


async def _read(consumer: AIOKafkaConsumer, seen: list[tuple[float, str, bytes]]) -> None:
    while True:
        for tp, records in (await consumer.getmany(timeout_ms=1000)).items():
            now = time.time()
            seen += [(now, tp.topic, record.value) for record in records]


def _reckon(
    seen: Sequence[tuple[float, str, bytes]],
    facts: str,
    began: float,
    rate: float,
    due: Mapping[str, float],
    behind: float,
) -> Latency:
    codec, waits = Codec(), []
    for at, topic, value in seen:
        effect = (codec.decode_fact if topic == facts else codec.decode_action)(value)
        if effect.cause_kind == "event":
            wanted = due[effect.cause_id]
            if wanted > SETTLE_SECONDS:
                waits.append((at - began - wanted) * 1000)
    if not waits:
        raise RuntimeError("nothing came back: see the worker's log, or publish for longer")
    waits.sort()
    return Latency(
        rate, len(waits), waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1], behind
    )
