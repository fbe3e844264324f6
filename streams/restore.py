"""Read the changelog of some partitions back into shards, as fast as the broker gives it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.playbook import Playbook
from streams.continuity import Log, check_continuity
from streams.settings import Settings
from streams.table import Shard, from_rows

FETCH_BYTES = 8 * 1024 * 1024


async def restore_shards(
    settings: Settings, playbook: Playbook, partitions: set[int], held: dict[int, Shard]
) -> dict[int, Shard]:
    """Return the shard of each partition as the changelog has it now.

    A shard that this worker already holds is kept if nobody else has written to its changelog
    since: a worker that was thrown out of the group and came back must not trust its memory.

    Raises:
        ValueError: a row is damaged.
        streams.continuity.StateLost: what was read back does not go with the log.
        aiokafka.errors.KafkaError: the broker did not answer, or the changelog was cut meanwhile.
    """
    if not partitions:
        return {}  # more workers than partitions: this one waits until another leaves
    topic = settings.topic("profiles-changelog")
    tps = {TopicPartition(topic, partition): partition for partition in partitions}
    rows: dict[int, dict[bytes, bytes | None]] = {partition: {} for partition in partitions}
    shards: dict[int, Shard] = {}
    async with _reader(settings, list(tps)) as consumer:
        ends = await consumer.end_offsets(list(tps))
        for tp, partition in tps.items():
            if partition in held and held[partition].changelog_end == ends[tp]:
                shards[partition] = held[partition]
                consumer.pause(tp)
        async for tp, records in _read_to(consumer, ends):
            rows[tps[tp]].update((record.key, record.value) for record in records)
        for tp, partition in tps.items():
            if partition not in shards:
                shards[partition] = from_rows(playbook, rows.pop(partition))
                shards[partition].changelog_end = await consumer.position(tp)
        for partition, log in (await _logs(consumer, settings, partitions)).items():
            check_continuity(partition, shards[partition], log)
    return shards


async def _logs(
    consumer: AIOKafkaConsumer, settings: Settings, partitions: Iterable[int]
) -> dict[int, Log]:
    source = settings.topic("touchpoints")
    tps = {partition: TopicPartition(source, partition) for partition in partitions}
    begins = await consumer.beginning_offsets(tps.values())
    ends = await consumer.end_offsets(tps.values())
    return {
        partition: Log(
            begins[tp],
            # The embedded broker's ListOffsets falls short: it cannot say that something is gone.
            ends[tp] if settings.broker == "kafka" else 1 << 62,
            await consumer.committed(tp) or 0,
        )
        for partition, tp in tps.items()
    }


@asynccontextmanager
async def _reader(settings: Settings, tps: list[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=settings.group,  # to ask what is committed; it does not join
        enable_auto_commit=False,
        auto_offset_reset="none",  # a changelog that is cut while it is read is an error
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    consumer.assign(tps)
    await consumer.start()
    try:
        await consumer.seek_to_beginning(*tps)
        yield consumer
    finally:
        await consumer.stop()


async def _read_to(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    def end(tp: TopicPartition) -> int:
        # The embedded broker's ListOffsets falls short of what its fetch responses say.
        return max(ends[tp], consumer.highwater(tp) or 0)

    reading = set(ends) - consumer.paused()
    while behind := [tp for tp in reading if await consumer.position(tp) < end(tp)]:
        for tp, records in (await consumer.getmany(*behind, timeout_ms=1000)).items():
            yield tp, records
