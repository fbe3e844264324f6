"""What stands around the workers in the fault tests: an orchestrator, and one who waits for it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from the_line import TheLine

from schemas.records import Touchpoint
from streams.cli.children import Child, ChildError

PATIENCE = 150.0
Write = Callable[[Touchpoint], bytes]


def await_that(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def revive(workers: Iterable[Child]) -> int:
    """Start again whoever has ended, as an orchestrator would; return their number."""
    restarts = 0
    for worker in workers:
        try:
            worker.check()
        except ChildError:
            worker.__enter__()
            restarts += 1
    return restarts


def await_lag(line: TheLine, workers: Iterable[Child] = (), most: int = 0, group: str = "") -> int:
    """Wait until the group is no more than so many records behind; return the restarts it took.

    Workers that end are started again. What counts is the group's committed offset at the broker;
    ``group`` is added to the name of the workers' group.
    """
    workers, restarts, deadline = list(workers), 0, time.monotonic() + PATIENCE
    with group_reader(line, group) as lag:
        while (behind := lag()) > most:
            restarts += revive(workers)
            assert time.monotonic() < deadline, f"{behind} records behind, {restarts} restarts"
            time.sleep(0.05)
    return restarts


@contextmanager
def group_reader(line: TheLine, group: str = "") -> Iterator[Callable[[], int]]:
    """Give a function that returns by how many offsets the group is behind."""
    consumer = KafkaConsumer(
        bootstrap_servers=line.settings.bootstrap,
        group_id=line.settings.group + group,
        enable_auto_commit=False,
        request_timeout_ms=5_000,
        session_timeout_ms=4_000,
        heartbeat_interval_ms=1_000,
    )
    topic = line.settings.topic("touchpoints")
    places = [TopicPartition(topic, number) for number in range(4)]

    def lag() -> int:
        try:
            ends = consumer.end_offsets(places)
            return sum(ends[place] - (consumer.committed(place) or 0) for place in places)
        except KafkaError:
            return 1 << 30  # nobody can tell now

    try:
        yield lag
    finally:
        consumer.close()


def committed(line: TheLine) -> dict[int, int]:
    """Return the offset that the group has committed in each partition, 0 for none."""
    consumer = KafkaConsumer(
        bootstrap_servers=line.settings.bootstrap,
        group_id=line.settings.group,
        enable_auto_commit=False,
    )
    try:
        topic = line.settings.topic("touchpoints")
        return {n: consumer.committed(TopicPartition(topic, n)) or 0 for n in range(4)}
    finally:
        consumer.close()


def publish_at(line: TheLine, records: list[tuple[int, Touchpoint, Write]]) -> None:
    """Publish each record with a time of its own and its own writer."""
    producer = KafkaProducer(bootstrap_servers=line.settings.bootstrap, linger_ms=20)
    try:
        topic = line.settings.topic("touchpoints")
        sent = [
            producer.send(topic, write(each), each.user_id.encode(), timestamp_ms=at)
            for at, each, write in records
        ]
        for future in sent:
            future.get()
    finally:
        producer.close()


def exit_code(worker: Child, patience: float = 60.0) -> int:
    """Wait until the worker has ended by itself; return its exit code."""
    assert worker._process is not None
    return worker._process.wait(patience)
