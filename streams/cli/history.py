"""A person's touchpoints and facts: folded from a file, or read from the log on Kafka."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import click
from kafka import KafkaConsumer, TopicPartition

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.jsonlines import LineError, read_lines
from schemas.playbook import find_playbook
from schemas.records import Action, Fact, Touchpoint
from schemas.wire import DecodeError
from streams.admin import await_listener
from streams.decode import decode_record
from streams.settings import Settings

POLL_MS = 500


class History(NamedTuple):
    """What happened: touchpoints with their stream time, and what came of them."""

    touchpoints: list[tuple[Touchpoint, int]]
    facts: list[Fact]
    actions: list[Action]


def read_events(file: Path) -> Iterator[tuple[Touchpoint, int]]:
    """Yield the touchpoints of a JSON-lines file with their stream times.

    A line may state its ``appended_at``; without one it counts as appended when it occurred, but
    never before the lines above it.

    Raises:
        click.ClickException: a line is wrong; the message names it.
    """
    clock = 0
    with click.open_file(str(file), "rb") as stream:
        for line in read_lines(stream, source=str(file)):
            if isinstance(line, LineError):
                raise click.ClickException(str(line))
            clock = max(clock, line.appended_at or line.touchpoint.occurred_at)
            yield line.touchpoint, line.appended_at or clock


def fold_file(file: Path, playbook: str, until: int | None = None) -> History:
    """Fold a file under a playbook, as ``touchline simulate`` does, and keep everything."""
    events = list(read_events(file))
    partition = Partition(compile_playbook(find_playbook(playbook)), {})
    effects = partition.apply(events)
    after = partition.advance(until if until is not None else partition.clock)
    return History(events, effects.facts + after.facts, effects.actions + after.actions)


def read_person(settings: Settings, user: str) -> History:
    """Read one person's part of the log: all records of their key that the topics still hold."""
    codec, key = settings.new_codec(), user.encode()
    await_listener(settings.bootstrap)
    touchpoints = []
    for record in _records(settings, "touchpoints", key):
        try:
            touchpoints.append((decode_record(codec, key, record.value), record.timestamp))
        except DecodeError:
            continue  # a dead letter: not part of the person's story
    facts = [codec.decode_fact(record.value) for record in _records(settings, "facts", key)]
    return History(touchpoints, facts, [])


def _records(settings: Settings, topic: str, key: bytes) -> Iterator[Any]:
    """Yield the committed records of a key; the whole partition of the key is read for them."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap.split(","),
        isolation_level="read_committed" if settings.broker == "kafka" else "read_uncommitted",
        enable_auto_commit=False,
    )
    with closing(consumer):
        name = settings.topic(topic)
        places = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                yield from (record for record in records if record.key == key)
