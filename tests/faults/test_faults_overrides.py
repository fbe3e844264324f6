"""What Faust does that we replace: each test fails when Faust's own way is put back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP
from kafka import KafkaProducer
from msgspec.structs import replace
from orchestra import Program
from the_line import TheLine, await_account, await_that, dump, the_line
from truth import fold_log
from workload import touches

from schemas.codec import Codec
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.cli.pages import PageError, read_json
from streams.faust_fetching import ConsumerThread

pytestmark = pytest.mark.kafka


@pytest.fixture
def narrow_line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TheLine]:
    """A line of one partition: the second worker has none until the first one leaves."""
    topics = [replace(topic, partitions=1) for topic in load_topics().values()]
    create_topics(kafka_bootstrap, topics, timestamps="event", prefix=topic_prefix)
    with the_line(kafka_bootstrap, topic_prefix, tmp_path, batch_records=50) as made:
        yield made


def test_a_spare_worker_that_takes_over_a_backlog_loses_none_of_it(
    narrow_line: TheLine, seed: int
) -> None:
    """What is fetched while the flow is opened is not cleared away: its first fetch comes after.

    A worker without partitions has its flow open. When it takes over, Faust resumes the
    partitions, seeks, and opens the flow again, which clears the queues that fill meanwhile.
    """
    touchpoints = list(touches(seed, 2_000))
    workers = [Program(narrow_line, "hesitant_worker") for _ in range(2)]
    with workers[0], workers[1]:
        shares: list[list[int] | None] = []

        def shared() -> bool:
            shares[:] = map(partitions_of, workers)
            return shares in ([[], [0]], [[0], []])

        await_that(shared, "nobody is spare")
        owner, spare = workers if shares[0] else reversed(workers)
        owner.kill()
        narrow_line.publish(touchpoints)
        assert await_account([spare], len(touchpoints))["applied"] == len(touchpoints)
        assert dump([spare]) == fold_log(narrow_line).profiles


def test_what_was_fetched_of_a_new_partition_and_discarded_is_fetched_again(
    narrow_line: TheLine, seed: int
) -> None:
    """A seek to the group's offsets goes to the beginning where the group has none yet."""
    narrow_line.publish(touches(seed, 100))

    async def fetch_twice() -> tuple[int, int]:
        async with the_thread(narrow_line) as (thread, consumer, here):
            discarded = await consumer.getmany(timeout_ms=20_000)
            await thread.seek_to_committed()
            again = await consumer.getmany(timeout_ms=20_000)
        return discarded[here][0].offset, again[here][0].offset

    assert asyncio.run(fetch_twice()) == (0, 0)


def test_what_comes_while_a_batch_is_in_hand_makes_one_batch(
    narrow_line: TheLine, seed: int
) -> None:
    """A worker that falls behind takes more at a time, not a queue of small batches."""
    first, *others = touches(seed, 100, span=100)  # one fetch ends where a log segment does
    narrow_line.publish([first])

    async def fetch_all() -> list[int]:
        sizes = []
        async with the_thread(narrow_line) as (thread, consumer, here):

            async def fetch(seconds: float) -> int:
                found = await thread._fetch_records(consumer, {here}, seconds, 4_000)
                return len(found.get(here, ()))

            sizes.append(await fetch(20.0))
            for each in others:  # each alone, and known to be there before the next
                await asyncio.to_thread(narrow_line.publish, [each])
            assert await fetch(0.5) == 0, "a second batch came while one was in hand"
            waiting = asyncio.create_task(fetch(20.0))
            await asyncio.sleep(0)  # it waits before there is room
            idle = consumer._subscription.fetcher_idle_time
            assert idle == 0, "who is idle for long is put out of the group"
            while sum(sizes) < 100:
                thread.release(here)
                sizes.append(await waiting)
                waiting = asyncio.create_task(fetch(20.0))
            waiting.cancel()
        return sizes

    sizes = asyncio.run(fetch_all())
    assert sum(sizes) == 100
    assert len(sizes) <= 4  # the first, what its fetch had asked for already, the rest


@asynccontextmanager
async def the_thread(line: TheLine) -> AsyncIterator[tuple[Any, AIOKafkaConsumer, TopicPartition]]:
    """Yield a thread of ours that runs in this loop, its consumer, and the one partition."""
    here = TP(line.settings.topic("touchpoints"), 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=line.settings.bootstrap,
        group_id=line.settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )

    async def call(method: Callable[..., Any], *arguments: Any) -> Any:
        return await method(*arguments)

    thread: Any = ConsumerThread.__new__(ConsumerThread)
    thread.fetched, thread.held, thread.room = {}, set(), asyncio.Event()
    thread.consumer = SimpleNamespace(flow_active=True)
    thread._consumer, thread.call_thread = consumer, call
    thread.thread_loop = asyncio.get_running_loop()
    async with consumer:
        consumer.assign([here])
        yield thread, consumer, here


def partitions_of(worker: Child) -> list[int] | None:
    """Return the partitions that a worker serves; None while it recovers."""
    try:
        served: list[int] = read_json(f"{worker.url}/health")["partitions"]
    except PageError:
        return None
    return served


def test_what_a_transaction_took_back_is_not_counted(line: TheLine, seed: int) -> None:
    """Of an aborted transaction and a committed one after it, only the committed one counts."""
    encode = Codec().encode_touchpoint
    aborted, kept = list(touches(seed, 20))[:10], list(touches(seed, 20))[10:]
    producer = KafkaProducer(
        bootstrap_servers=line.settings.bootstrap,
        transactional_id=f"{line.settings.group}-upstream",
    )
    try:
        producer.init_transactions()
        for touchpoints, end in (
            (aborted, producer.abort_transaction),
            (kept, producer.commit_transaction),
        ):
            producer.begin_transaction()
            for each in touchpoints:
                producer.send(
                    line.settings.topic("touchpoints"),
                    encode(each),
                    each.user_id.encode(),
                    timestamp_ms=each.occurred_at,
                )
            producer.flush()
            end()
    finally:
        producer.close()
    with line.worker() as worker:
        worker.wait_ready()
        found = await_account([worker], len(kept))
        assert dump([worker]) == fold_log(line).profiles
    assert found == {"applied": len(kept), "duplicate": 0, "late": 0, "dead": 0}
