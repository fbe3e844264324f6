"""A person's touchpoints and facts: folded from a file, or read from the log on Kafka."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import click
from kafka import KafkaConsumer, TopicPartition

from processors.partition import Effects, Partition
from processors.playbook import Playbook, compile_playbook
from schemas.jsonlines import LineError, read_lines
from schemas.playbook import find_playbook
from schemas.records import Action, Fact, Touchpoint
from schemas.wire import DecodeError
from streams.admin import await_listener
from streams.cli.output import progress
from streams.decode import decode_record
from streams.settings import Settings

POLL_MS = 500
BATCH = 1000


class History(NamedTuple):
    """What happened to one person: touchpoints with their stream time, and the facts of them."""

    touchpoints: list[tuple[Touchpoint, int]]
    facts: list[Fact]


class Folded(NamedTuple):
    """What came of a file: the same for everybody, with the playbook and the clock at the end."""

    touchpoints: list[tuple[Touchpoint, int]]
    facts: list[Fact]
    actions: list[Action]
    playbook: Playbook
    clock: int

    def of(self, user: str) -> History:
        """Return one person's part of it."""
        return History(
            [(each, at) for each, at in self.touchpoints if each.user_id == user],
            [fact for fact in self.facts if fact.user_id == user],
        )


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


def count_lines(file: Path) -> int | None:
    """Return the lines of a file, for a bar of progress; None for what cannot be read twice."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def fold_file(file: Path, playbook: str, until: int | None = None) -> Folded:
    """Fold a file under a playbook, as ``touchline simulate`` does, and keep everything."""
    rules = compile_playbook(find_playbook(playbook))
    partition = Partition(rules, {})
    events: list[tuple[Touchpoint, int]] = []
    facts: list[Fact] = []
    actions: list[Action] = []

    def keep(effects: Effects) -> None:
        facts.extend(effects.facts)
        actions.extend(effects.actions)

    with progress() as bar:
        about = f"folding under {rules.name}"
        lines = bar.track(read_events(file), total=count_lines(file), description=about)
        while batch := list(itertools.islice(lines, BATCH)):
            events += batch
            keep(partition.apply(batch))
    keep(partition.advance(until if until is not None else partition.clock))
    return Folded(events, facts, actions, rules, partition.clock)


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
    return History(touchpoints, facts)


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
