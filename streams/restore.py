"""Bring the state of some partitions up to what their changelog says, as fast as it is read."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.partition import Counts, Known, Partition
from processors.playbook import Playbook
from streams.continuity import Log, check_continuity
from streams.rows import BLOCK_KEY, Ledger, read_block
from streams.settings import Settings
from streams.store import Contents, StaleStoreError, Store
from streams.stores import Stores
from streams.table import Shard

FETCH_BYTES = 8 * 1024 * 1024


async def restore_shards(
    settings: Settings,
    playbook: Playbook,
    partitions: set[int],
    held: Mapping[int, Shard],
    stores: Stores,
) -> dict[int, Shard]:
    """Return the shard of each partition as the changelog has it now.

    A shard that this worker already holds is kept if nobody else has written to its changelog
    since: a worker that was thrown out of the group and came back must not trust its memory. A
    store on the disk is trusted as far as it goes with the changelog, and rebuilt otherwise.

    Raises:
        ValueError: a row is damaged.
        streams.continuity.StateLost: what was read back does not go with the log.
        streams.store.StoreError: the disk cannot be used.
        aiokafka.errors.KafkaError: the broker did not answer, or the changelog was cut meanwhile.
    """
    if not partitions:
        return {}  # more workers than partitions: this one waits until another leaves
    topic = settings.topic("profiles-changelog")
    tps = {TopicPartition(topic, partition): partition for partition in sorted(partitions)}
    shards: dict[int, Shard] = {}
    async with changelog_reader(settings, list(tps)) as consumer:
        # Before the changelog is read: another worker may have taken a partition by now, and what
        # it commits meanwhile is in no row that is read here.
        committed = await _committed(consumer, settings, partitions)
        ends = await consumer.end_offsets(list(tps))
        stale: dict[TopicPartition, Store] = {}
        for tp, partition in tps.items():
            if partition in held and held[partition].changelog_end == ends[tp]:
                shards[partition] = held[partition]
                shards[partition].replayed = 0
            else:
                stale[tp] = stores.open(partition)
        contents = await catch_up(consumer, settings, stale, ends)
        for tp, found in contents.items():
            shard = await _to_its_end(new_shard, playbook, stale[tp], found)
            shard.changelog_end = await consumer.position(tp)
            shards[tps[tp]] = shard
        for partition, log in (await _logs(consumer, settings, committed)).items():
            check_continuity(partition, shards[partition], log)
    return shards


def new_shard(playbook: Playbook, store: Store, contents: Contents) -> Shard:
    """Return a shard over a store that has caught up; after a crash this looks at everybody."""
    ledger = (contents.ledger or Ledger(lineage=os.urandom(8))).under(playbook)
    counts = _count(store) if contents.ahead else ledger.counts
    counts.people = contents.people
    counted_to, block = read_block(contents.own.get(BLOCK_KEY))
    partition = Partition(playbook, store.profiles, Known(counts, store.due), block)
    partition.clock = ledger.clock
    shard = Shard(partition, ledger, contents.ahead, counted_to, replace(counts), store=store)
    shard.replayed = contents.read
    return shard


async def catch_up(
    consumer: AIOKafkaConsumer,
    settings: Settings,
    stores: Mapping[TopicPartition, Store],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, Contents]:
    """Load what each store lacks; one that does not go with its changelog is filled anew.

    Raises:
        ValueError: a row is damaged.
        streams.store.StoreError: the disk cannot be used.
        aiokafka.errors.KafkaError: the broker did not answer, or the changelog was cut meanwhile.
    """
    contents: dict[TopicPartition, Contents] = {}
    while waiting := [tp for tp in stores if tp not in contents]:
        begins = await consumer.beginning_offsets(waiting)
        for tp in waiting:
            consumer.seek(tp, place_to_resume(stores[tp], begins[tp], ends[tp]))
        tells_ends = settings.broker == "kafka"
        async for tp, records in read_to(consumer, waiting, ends, tells_ends=tells_ends):
            await _to_its_end(stores[tp].load, records)
        for tp in waiting:
            try:
                contents[tp] = await _to_its_end(stores[tp].finish)
            except StaleStoreError as error:
                stores[tp].discard(str(error))
    return contents


async def _to_its_end(function: Callable[..., Any], *given: Any) -> Any:
    """Run a function in a thread; who is cancelled meanwhile lets it end: it uses a store."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def place_to_resume(store: Store, begin: int, end: int) -> int:
    """Return the offset of the changelog from which this store has to be loaded."""
    resume = store.resume()
    if resume is None:
        return begin
    if not begin <= resume < end:
        store.discard(f"it goes to offset {resume}, the changelog from {begin} to {end}")
        return begin
    return resume


def _count(store: Store) -> Counts:
    """Count what the profiles have counted: after a crash the ledger does not know it all."""
    counts = Counts()
    for chunk in store.scan():
        for profile in chunk:
            counts.applied += profile.applied
            counts.duplicates += profile.duplicates
            counts.late += profile.late
    return counts


async def _committed(
    consumer: AIOKafkaConsumer, settings: Settings, partitions: Iterable[int]
) -> dict[int, int]:
    source = settings.topic("touchpoints")
    return {
        partition: await consumer.committed(TopicPartition(source, partition)) or 0
        for partition in partitions
    }


async def _logs(
    consumer: AIOKafkaConsumer, settings: Settings, committed: Mapping[int, int]
) -> dict[int, Log]:
    source = settings.topic("touchpoints")
    tps = {partition: TopicPartition(source, partition) for partition in committed}
    begins = await consumer.beginning_offsets(tps.values())
    ends = await consumer.end_offsets(tps.values())
    return {
        partition: Log(
            begins[tp],
            # The embedded broker's ListOffsets falls short: it cannot say that something is gone.
            ends[tp] if settings.broker == "kafka" else 1 << 62,
            committed[partition],
        )
        for partition, tp in tps.items()
    }


@asynccontextmanager
async def changelog_reader(
    settings: Settings, tps: list[TopicPartition], **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of the changelog that has joined no group; seek before reading.

    Args:
        settings: Of the worker.
        tps: What it reads.
        options: Of the consumer, in place of those that an owner's recovery has.
    """
    usual: dict[str, Any] = {
        "group_id": settings.group,  # to ask what is committed; it does not join
        "max_partition_fetch_bytes": FETCH_BYTES,
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",  # a changelog that is cut while it is read is an error
        isolation_level="read_committed",
        **(usual | options),
    )
    consumer.assign(tps)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def read_to(
    consumer: AIOKafkaConsumer,
    reading: list[TopicPartition],
    ends: Mapping[TopicPartition, int],
    *,
    tells_ends: bool,
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """Yield the records of each fetch until the ends are reached."""

    def end(tp: TopicPartition) -> int:
        # The embedded broker's ListOffsets falls short of what its fetch responses say.
        return ends[tp] if tells_ends else max(ends[tp], consumer.highwater(tp) or 0)

    while behind := [tp for tp in reading if await consumer.position(tp) < end(tp)]:
        found = await consumer.getmany(*behind, timeout_ms=1000)
        _heed_cancel()
        for tp, records in found.items():
            yield tp, records


def _heed_cancel() -> None:
    """Make up for a cancel that was lost: Python 3.11's ``wait_for``, in libraries, may do that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
