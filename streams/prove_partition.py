"""The proof of one partition: the same actions, facts and profiles as its log gives.

Exactly these actions and facts must be on the topics, each once and saying just that, and exactly
these profiles in the changelog. The line may run meanwhile: what is read first (the changelog) must
all be there in what is read later (the topics), and these must all be explained by what is read
last (the touchpoints).
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from aiokafka import TopicPartition

from processors.partition import Effects
from processors.playbook import Playbook
from schemas.topics import load_topics
from schemas.wire import DecodeError
from streams.log_places import LogReader
from streams.prove_findings import judge_profiles, judge_requests, judge_unreadable
from streams.prove_profiles import differences, meet
from streams.prove_requests import (
    CLOCKS_MS,
    DAY_MS,
    Found,
    Reader,
    Requests,
    Stated,
    identify,
    time_of,
)
from streams.replay import NotProvableError, Replay, reigns
from streams.restore import catch_up, changelog_reader
from streams.rows import BROKER_TIME, Ledger
from streams.settings import Settings
from streams.store import Contents, MemoryStore
from streams.verify_findings import Finding

SOURCE, CHANGELOG, FACTS = "touchpoints", "profiles-changelog", "facts"
AT_ONCE = 2_000
"""Touchpoints that are folded, or facts that are asked for, between looks at the topics."""
LOOKS, PAUSE_SECONDS = 5, 0.5
"""How often what is missing is looked for again, and how long to wait between."""


class Proven(NamedTuple):
    """What was found of one partition.

    Attributes:
        partition: Its number.
        touchpoints: Those up to where its worker had come.
        behind: Touchpoints after these.
        people: Profiles that are the same on both sides.
        in_hand: Profiles that a worker had in hand, now or when the playbook changed.
        actions: Actions that are there once, and say what they must.
        facts: Facts likewise.
        repeated: Those that are there again under their id, as on a plain broker they may be.
        forgotten: Actions and facts of a time that retention has deleted.
    """

    partition: int
    touchpoints: int
    behind: int
    people: int
    in_hand: int
    actions: int
    facts: int
    repeated: int
    forgotten: int


class Trial:
    """One partition, from its first record to its last."""

    def __init__(
        self,
        settings: Settings,
        playbooks: Sequence[Playbook],
        logs: dict[str, LogReader],
        number: int,
    ) -> None:
        self._settings = settings
        self._playbooks = playbooks
        self._logs = logs
        self._number = number
        self._codec = settings.new_codec()
        self._requests: dict[str, Requests] = {}
        self._readers: dict[str, Reader] = {}
        self._unreadable: dict[str, set[int]] = defaultdict(set)

    async def run(self, told: Callable[[int], None]) -> tuple[Proven, list[Finding]]:
        """Fold the partition, and return what was found."""
        await self._require_beginning()
        store, contents = await self._read_changelog()
        ledger = contents.ledger or Ledger()
        held = reigns(ledger, self._playbooks, f"partition {self._number}")
        replay, following = Replay(self._codec, held), ledger.offset + 1
        for name in announced():
            await self._begin_to_read(name, replay.undecided, on_time=ledger.broker_time)
        _, end = await self._reach(SOURCE)

        touchpoints = await self._fold(replay, 0, following, told, sure=True)
        fired = replay.advance(following, ledger.clock)
        await self._expect(replay, fired, sure=not ledger.firing)
        moving = contents.ahead.keys() | replay.undecided
        with self._blaming_the_changelog():
            people, pairs = differences(store, replay.profiles, moving)

        # What the worker has done since the changelog was read, or is about to do.
        behind = await self._fold(replay, following, end, told, sure=False)
        now = int(time.time() * 1000) + CLOCKS_MS if ledger.broker_time else replay.clock
        await self._expect(replay, replay.advance(end, now), sure=False)

        different = [pair for pair in pairs if not meet(pair, replay.playbook, replay.clock)]
        in_hand = len(moving) + len(pairs) - len(different)
        findings = judge_profiles(self._settings.topic(CHANGELOG), self._number, different)
        repeated = 0
        for name, requests in self._requests.items():
            again = await self._read_to_the_end(name)
            repeated += sum(times - 1 for times in again.values())
            findings += judge_requests(requests, again, self._settings.broker)
            findings += judge_unreadable(requests, self._unreadable[name])
        if findings:
            await self._require_reigns(ledger)
        same = {name: requests.same for name, requests in self._requests.items()}
        facts = same.pop(FACTS)
        forgotten = sum(requests.forgotten for requests in self._requests.values())
        proven = Proven(
            self._number, touchpoints, behind, people, in_hand, sum(same.values()), facts, repeated,
            forgotten,
        )  # fmt: skip
        return proven, findings

    async def _require_beginning(self) -> None:
        begin, _ = await self._reach(SOURCE)
        if begin:
            raise NotProvableError(
                f"{self._settings.topic(SOURCE)} partition {self._number} begins at offset "
                f"{begin}: what came before is gone, and nobody can fold it again (is its "
                "retention.ms -1?)"
            )

    async def _read_changelog(self) -> tuple[MemoryStore, Contents]:
        """Return the profiles as the changelog has them now, and what it says of them."""
        tp = TopicPartition(self._settings.topic(CHANGELOG), self._number)
        store = MemoryStore(self._playbooks[0])  # who only compares heeds no due times
        async with changelog_reader(self._settings, [tp]) as consumer:
            ends = await consumer.end_offsets([tp])
            with self._blaming_the_changelog():
                contents = await catch_up(consumer, self._settings, {tp: store}, ends)
        return store, contents[tp]

    @contextmanager
    def _blaming_the_changelog(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise NotProvableError(
                f"{self._settings.topic(CHANGELOG)} partition {self._number}: {error}: "
                "something else writes there, or it is damaged; `Rebuild the profiles` of "
                "docs/operations.md puts it right"
            ) from error

    async def _require_reigns(self, ledger: Ledger) -> None:
        """Ask, before anything is called wrong, whether the playbooks are still those."""
        now = await self._logs[SOURCE].ledger(self._settings.topic(CHANGELOG), self._number)
        if now.tenures != ledger.tenures:
            raise NotProvableError(
                f"partition {self._number}: a worker began to follow another playbook while this "
                "read what the line had done: run it again"
            )

    async def _begin_to_read(self, name: str, but: Container[str], *, on_time: bool) -> None:
        """Begin to read a topic of facts or actions, as far as it goes now."""
        begin, end = await self._reach(name)
        kept_from = await self._kept_from(name, begin, end)
        topic = self._settings.topic(name)
        requests = Requests(topic, self._number, kept_from, but, on_time=on_time)
        self._requests[name] = requests
        self._readers[name] = Reader(self._read(name, begin, end), requests, begin, end)

    async def _kept_from(self, name: str, begin: int, end: int) -> int | None:
        """Return the time from which on a topic has all, None if it has nothing any more."""
        if not begin:
            return 0
        async for first in self._read(name, begin, end):
            return first.appended_at or time_of(first.stated) + DAY_MS
        return None

    async def _read(self, name: str, since: int, until: int) -> AsyncIterator[Found]:
        """Yield the records of some offsets of a topic."""
        decode = self._codec.decode_fact if name == FACTS else self._codec.decode_action
        topic = self._settings.topic(name)
        async for records in self._logs[name].records(topic, self._number, since, until):
            for record in records:
                by_broker = record.timestamp_type == BROKER_TIME
                appended_at = record.timestamp if by_broker else 0
                try:
                    stated = decode(record.value)
                except DecodeError:
                    self._unreadable[name].add(record.offset)
                else:
                    yield Found(stated, record.offset, appended_at)

    async def _fold(
        self, replay: Replay, since: int, until: int, told: Callable[[int], None], *, sure: bool
    ) -> int:
        """Fold some of the log; return how many records it has there."""
        topic, folded = self._settings.topic(SOURCE), 0
        async for records in self._logs[SOURCE].records(topic, self._number, since, until):
            for first in range(0, len(records), AT_ONCE):
                some = records[first : first + AT_ONCE]
                await self._expect(replay, replay.apply(some), sure=sure)
                folded += len(some)
                told(len(some))
        return folded

    async def _expect(self, replay: Replay, effects: Iterable[Effects], *, sure: bool) -> None:
        """Hold what came of it against the topics, which are read as far."""
        for each in effects:
            given: dict[str, list[Stated]] = defaultdict(list, {FACTS: [*each.facts]})
            for action in each.actions:
                given[f"actions.{action.family}"].append(action)
            for name, stated in given.items():
                for first in range(0, len(stated), AT_ONCE):
                    self._requests[name].expect(stated[first : first + AT_ONCE], sure=sure)
                    await self._readers[name].read_on(replay.clock)
        for reader in self._readers.values():
            await reader.read_on(replay.clock)

    async def _read_to_the_end(self, name: str) -> Counter[str]:
        """Read the rest; return how often the topic has each record that the log does not give.

        A transaction ends on each partition for itself: what is missing may have come meanwhile.
        """
        requests, reader, again = self._requests[name], self._readers[name], Counter[str]()
        await reader.read_the_rest()
        since = reader.end
        for look in range(LOOKS):
            missing = {identify(each) for each in requests.missing()}
            if not missing:
                break
            await asyncio.sleep(look and PAUSE_SECONDS)
            begin, end = await self._reach(name)
            if begin > reader.begin:  # retention has taken something before it was read
                requests.kept_from = await self._kept_from(name, begin, end)
            async for found in self._read(name, since, end):
                if identify(found.stated) in missing:
                    requests.find(found)
            since = end
        if strange := requests.strange():
            others = set[str]()
            async for found in self._read(name, reader.begin, reader.end):
                if (key := identify(found.stated)) in strange:
                    again[key] += 1
                    if found.stated != strange[key].stated:
                        others.add(key)
            requests.altered += (strange[key] for key in sorted(others))  # a repeat says the same
        return again

    async def _reach(self, name: str) -> tuple[int, int]:
        reach = await self._logs[name].reach(self._settings.topic(name), [self._number])
        return reach[self._number]


def announced() -> list[str]:
    """Return the topics of facts and of actions."""
    return [FACTS, *(name for name in load_topics() if name.startswith("actions."))]
