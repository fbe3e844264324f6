"""Touchpoints from a file or from the log on Kafka, and what playbooks make of them."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from processors.partition import Effects, Partition
from processors.playbook import Playbook, compile_playbook
from schemas.jsonlines import LineError, read_lines
from schemas.playbook import find_playbook
from schemas.records import Action, Fact, Touchpoint
from schemas.wire import DecodeError
from streams.admin import count_partitions
from streams.cli.output import load_settings, progress
from streams.decode import decode_record
from streams.log_places import open_log
from streams.settings import Settings

BATCH = 1000


class History(NamedTuple):
    """What happened to one person: touchpoints with their stream time, and the facts of them."""

    touchpoints: list[tuple[Touchpoint, int]]
    facts: list[Fact]


class Folded(NamedTuple):
    """What a playbook makes of a file: what it requests, and which facts were to be kept."""

    actions: list[Action]
    facts: list[Fact]
    playbook: Playbook
    clock: int


def read_events(file: Path) -> Iterator[tuple[Touchpoint, int]]:
    """Yield the touchpoints of a JSON-lines file with their stream times.

    A line may state its ``appended_at``; without one it counts as appended when it occurred, but
    never before the lines above it. It may be as large as the workers of this environment take.

    Args:
        file: JSON lines; ``-`` is standard input.

    Raises:
        click.ClickException: a line is wrong; the message names it.
    """
    clock, max_bytes = 0, load_settings().max_record_bytes
    with click.open_file(str(file), "rb") as stream:
        for line in read_lines(stream, source=str(file), max_bytes=max_bytes):
            if isinstance(line, LineError):
                raise click.ClickException(str(line))
            stated = line.appended_at
            clock = max(clock, line.touchpoint.occurred_at if stated is None else stated)
            yield line.touchpoint, clock if stated is None else stated


def count_lines(file: Path) -> int | None:
    """Return the lines of a file, for a bar of progress; None for what cannot be read twice."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def fold_file(
    file: Path, playbooks: Sequence[str], until: int | None, keep: Callable[[Fact], bool]
) -> list[Folded]:
    """Fold a file under some playbooks, as ``touchline simulate`` does under one.

    It is read once, for it may be a pipe.

    Args:
        file: JSON lines; ``-`` is standard input.
        playbooks: Names, or YAML files.
        until: Where the clock runs on to; the end of the file by default.
        keep: Which facts are kept: all of a long log would not fit in memory.
    """
    partitions = [Partition(compile_playbook(find_playbook(name)), {}) for name in playbooks]
    folded = [Folded([], [], each.playbook, 0) for each in partitions]

    def note(effects: Iterable[Effects]) -> None:
        for each, so_far in zip(effects, folded, strict=True):
            so_far.actions.extend(each.actions)
            so_far.facts.extend(filter(keep, each.facts))

    with progress() as bar:
        about = f"folding under {' and '.join(each.playbook.name for each in partitions)}"
        lines = bar.track(read_events(file), total=count_lines(file), description=about)
        while batch := list(itertools.islice(lines, BATCH)):
            note(each.apply(batch) for each in partitions)
    note(each.advance(each.clock if until is None else until) for each in partitions)
    return [
        each._replace(clock=partition.clock)
        for each, partition in zip(folded, partitions, strict=True)
    ]


def fold_person(file: Path, playbook: str, user: str, until: int | None = None) -> History:
    """Fold one person's part of a file: the others only move the clock.

    Args:
        file: JSON lines; ``-`` is standard input.
        playbook: Name, or YAML file.
        user: The person, by user id.
        until: As in `fold_file`.
    """
    partition = Partition(compile_playbook(find_playbook(playbook)), {})
    touchpoints, clock = [], until or 0
    with progress() as bar:
        lines = bar.track(read_events(file), total=count_lines(file), description="reading")
        for touchpoint, at in lines:
            clock = max(clock, at)
            if touchpoint.user_id == user:
                touchpoints.append((touchpoint, at))
    facts = partition.apply(touchpoints).facts
    return History(touchpoints, facts + partition.advance(clock).facts)


def read_person(settings: Settings, user: str) -> History:
    """Read one person's part of the log: all records of their key that the topics still hold."""
    codec, key = settings.new_codec(), user.encode()
    touchpoints = []
    for record in asyncio.run(_read_key(settings, "touchpoints", key)):
        try:
            touchpoints.append((decode_record(codec, key, record.value), record.timestamp))
        except DecodeError:
            continue  # a dead letter: not part of the person's story
    records = asyncio.run(_read_key(settings, "facts", key))
    return History(touchpoints, [codec.decode_fact(record.value) for record in records])


async def _read_key(settings: Settings, name: str, key: bytes) -> list[Any]:
    """Return the committed records of a key; the whole topic is read for them."""
    topic = settings.topic(name)
    partitions = range(count_partitions(settings.bootstrap, topic))
    async with open_log(settings) as log:
        reach = await log.reach(topic, partitions)
        return [
            record
            for number, (begin, end) in reach.items()
            async for records in log.records(topic, number, begin, end)
            for record in records
            if record.key == key
        ]
