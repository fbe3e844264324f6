"""Bringing state up beside the heartbeats: the event loop goes on, and a cancel is heeded."""

import asyncio
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from kafka import KafkaProducer
from the_line import PATIENCE, the_line

from processors.partition import Counts, Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.records import Touchpoint
from streams import restore
from streams.faust_recovery import Recovery
from streams.restore import read_to, restore_shards
from streams.rows import Ledger, to_rows
from streams.store import Store
from streams.stores import Stores

PLAYBOOK = compile_playbook(find_playbook("second-purchase"))
HERE = TopicPartition("profiles-changelog", 0)


@pytest.mark.kafka
def test_who_counts_everybody_after_a_crash_keeps_the_heartbeats(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has died in its first write: all people are counted while the event loop goes on."""
    partition = Partition(PLAYBOOK, {})
    partition.apply([(Touchpoint("e", "ann", 1, "link_scanned", {"code": "q"}), 1)])
    *rows, _ledger = to_rows(partition.profiles, Ledger(offset=0), partition)  # type: ignore[arg-type]
    counting, beat = Event(), Event()
    count = restore._count

    def count_slowly(store: Store) -> Counts:
        counting.set()
        assert beat.wait(PATIENCE), "the event loop stood still"
        return count(store)

    async def bring_up() -> int:
        stores = Stores(line.settings.model_copy(update={"store": "memory"}), PLAYBOOK)
        work = asyncio.create_task(restore_shards(line.settings, PLAYBOOK, {0}, {}, stores))
        await asyncio.to_thread(counting.wait, PATIENCE)
        beat.set()
        return (await work)[0].account.applied

    monkeypatch.setattr(restore, "_count", count_slowly)
    with the_line(kafka_bootstrap, topic_prefix, tmp_path) as line:
        producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
        try:
            for key, value in rows:
                topic = line.settings.topic("profiles-changelog")
                producer.send(topic, value, key, partition=0).get()
        finally:
            producer.close()
        assert asyncio.run(bring_up()) == 1
    assert counting.is_set()


def test_a_recovery_that_lost_its_cancel_is_given_up_all_the_same() -> None:
    """Python 3.11's ``wait_for`` takes no cancel that comes together with what it waited for."""

    async def abandon() -> bool:
        fetched: asyncio.Future[dict[Any, Any]] = asyncio.get_running_loop().create_future()
        fetching, fetches = asyncio.Event(), 0

        async def fetch(*_places: Any, **_given: Any) -> dict[Any, Any]:
            nonlocal fetches
            fetches += 1
            fetching.set()
            return await asyncio.wait_for(fetched if fetches == 1 else asyncio.Future(), PATIENCE)

        async def position(_place: Any) -> int:
            return 0

        async def read() -> None:
            async for _ in read_to(consumer, [HERE], {HERE: 9}, tells_ends=True):
                pass

        consumer: Any = SimpleNamespace(position=position, getmany=fetch)
        recovery = Recovery.__new__(Recovery)
        recovery._restoring = reading = asyncio.create_task(read())
        await fetching.wait()
        fetched.set_result({})
        await recovery.abandon()
        return reading.cancelled() and fetches == 1

    assert asyncio.run(asyncio.wait_for(abandon(), PATIENCE / 2))
