"""A line of our own on a real Kafka: topics, a worker, a sink, and what they wrote."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from brokers import free_ports
from kafka import KafkaConsumer, TopicPartition

from schemas.codec import Codec
from schemas.records import Action, DeadLetter, Touchpoint
from schemas.topics import load_topics
from streams.admin import Timestamps, create_topics
from streams.cli.children import Child
from streams.cli.pages import PageError, read_json, read_lines
from streams.publisher import Publisher
from streams.settings import Settings

PATIENCE = 200.0
_Seen = TypeVar("_Seen")


@dataclass(frozen=True)
class TheLine:
    """The topics of one test, and how to put workers and sinks on them."""

    settings: Settings
    folder: Path

    def worker(self, **changes: Any) -> Child:
        """Return a worker, not started."""
        return self._child("worker", changes)

    def sink(self, **changes: Any) -> Child:
        """Return a sink, not started; it opens the warehouse of this line."""
        return self._child("sink", changes)

    def publisher(self, *, event_time: bool = True) -> Publisher:
        """Return a publisher of touchpoints."""
        topic = self.settings.topic("touchpoints")
        return Publisher(self.settings.bootstrap, topic, Codec(), event_time=event_time)

    def publish(self, touchpoints: Iterable[Touchpoint], *, event_time: bool = True) -> int:
        """Publish touchpoints, all acknowledged; return their number."""
        with self.publisher(event_time=event_time) as publisher:
            for touchpoint in touchpoints:
                publisher.publish(touchpoint)
        return publisher.acknowledged

    def read(self, topic: str) -> list[Any]:
        """Return every record of a topic that is there now, partition by partition."""
        with_prefix = self.settings.topic(topic)
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=8 << 20,
        )
        try:
            places = [
                TopicPartition(with_prefix, n) for n in consumer.partitions_for_topic(with_prefix)
            ]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: list[Any] = []
            while any(consumer.position(place) < end for place, end in ends.items()):
                for records in consumer.poll(timeout_ms=500).values():
                    found.extend(records)
            return sorted(found, key=lambda record: (record.partition, record.offset))
        finally:
            consumer.close()

    def actions(self) -> list[Action]:
        """Return all actions on the trigger topics."""
        names = [name for name in load_topics() if name.startswith("actions.")]
        decode = self.settings.new_codec().decode_action
        return [decode(r.value) for name in names for r in self.read(name)]

    def dead_letters(self) -> list[DeadLetter]:
        """Return all dead letters."""
        decode = self.settings.new_codec().decode_dead_letter
        return [decode(r.value) for r in self.read("dead-letters")]

    def _child(self, command: str, changes: dict[str, Any]) -> Child:
        (port,) = free_ports(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        return Child(
            command,
            self.settings.model_copy(
                update={"web_port": port, "data": str(self.folder / f"state-{port}"), **changes}
            ),
            self.folder,
            log_name=f"{command}-{port}",
        )


@contextmanager
def the_line(
    bootstrap: str, prefix: str, folder: Path, *, timestamps: Timestamps = "event", **settings: Any
) -> Iterator[TheLine]:
    """Make the topics of a line; TOUCHLINE_STORE in the environment says how its workers keep."""
    given: dict[str, Any] = {}
    if store := os.environ.get("TOUCHLINE_STORE"):
        given["store"] = store
    create_topics(bootstrap, load_topics().values(), timestamps=timestamps, prefix=prefix)
    chosen = Settings(
        bootstrap=bootstrap,
        topic_prefix=prefix,
        group=f"{prefix}touchline",
        warehouse=f"chdb://{folder / 'warehouse'}",
        data=str(folder / "state"),
        **(given | {"session_timeout": 3.0} | settings),
    )
    yield TheLine(chosen, folder)


def await_that(
    condition: Callable[[], _Seen], what: str | Callable[[], str], patience: float = PATIENCE
) -> _Seen:
    """Wait until the condition holds, and return what it gave; ``what`` says why it does not."""
    deadline = time.monotonic() + patience
    while not (seen := condition()):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)
    return seen


def account(workers: Iterable[Child]) -> dict[str, int]:
    """Return the account of all partitions that these workers hold."""
    total = dict.fromkeys(("applied", "duplicate", "late", "dead"), 0)
    for worker in workers:
        worker.check()
        try:
            partitions = read_json(f"{worker.url}/status")["partitions"].values()
        except PageError:
            continue  # it is not up yet
        for partition in partitions:
            for name in total:
                total[name] += partition[name]
    return total


def await_account(workers: Iterable[Child], records: int) -> dict[str, int]:
    """Wait until the workers have accounted for so many records; return their account."""
    deadline = time.monotonic() + PATIENCE
    while sum((found := account(workers)).values()) < records:
        assert time.monotonic() < deadline, f"{found} of {records} records"
        time.sleep(0.05)
    return found


def dump(workers: Iterable[Child]) -> list[str]:
    """Return the canonical dump of all profiles that these workers hold."""
    lines = [line for worker in workers for line in read_lines(f"{worker.url}/profiles")]
    return sorted(lines, key=lambda line: str(json.loads(line)["user_id"]))
