"""Hold what a topic has against what a replay of the log gives: each record once, and nothing else.

Both sides come in about the same order, so each waits in memory only until the other has come.
"""

from collections.abc import AsyncIterator, Container, Iterable, Iterator, Sized
from typing import NamedTuple

from schemas.records import Action, Fact
from streams.replay import NotProvableError

Stated = Action | Fact
WAITING = 200_000
"""More that wait for the other side do not come of another order within a batch."""
AHEAD = 100_000
"""So far one side may be ahead; where a topic has lost its beginning, so many wait for the rest."""
CLOCKS_MS = 5_000
"""So much the clocks of brokers and workers may differ."""
DAY_MS = 86_400_000


class Found(NamedTuple):
    """A record of a topic."""

    stated: Stated
    offset: int
    appended_at: int
    """When the broker wrote it; 0 where it does not say."""

    @property
    def early(self) -> bool:
        """Whether it was written before its time."""
        return 0 < self.appended_at < time_of(self.stated) - CLOCKS_MS


def identify(stated: Stated) -> str:
    """Return the id, which is the same whoever works it out."""
    return stated.fact_id if isinstance(stated, Fact) else stated.action_id


def time_of(stated: Stated) -> int:
    """Return the stream time at which it was so."""
    return stated.at if isinstance(stated, Fact) else stated.requested_at


class Requests:
    """The facts or actions of one partition: what the log asks for, and what is there.

    Args:
        topic: The full name of their topic.
        partition: Its number.
        kept_from: Time of the first record that the topic still has; 0 if it has them all, None
            if it has none any more.
        but: People of whom nothing is said; there may come more.
        on_time: Whether the broker's clock is the stream's, so that nothing comes before its time.

    Attributes:
        same: How many are there once, and say what the replay says.
        altered: Those that say something else than the replay, under the same id.
        early: Those that were written before their time.
        ended: Whether the topic was found to its end, so that nothing may come that is not sure.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        kept_from: int | None,
        but: Container[str] = frozenset(),
        *,
        on_time: bool = True,
    ) -> None:
        self.topic = topic
        self.kept_from = kept_from
        self.partition = partition
        self.same = self._given_up = 0
        self.altered: list[Found] = []
        self.early: list[Found] = []
        self.ended = False
        self._but = but
        self._on_time = on_time
        self._wanted: dict[str, tuple[Stated, bool]] = {}
        self._found: dict[str, Found] = {}
        self._repeated: dict[str, Found] = {}

    def expect(self, given: Iterable[Stated], *, sure: bool) -> None:
        """Take what the replay gives; of what is not sure the topic may have nothing yet.

        Raises:
            NotProvableError: too much of it is not there.
        """
        for stated in given:
            if stated.user_id in self._but:
                continue
            key = identify(stated)
            found = self._found.pop(key, None)
            if found is not None:
                self._judge(stated, found)
            elif self.kept_from is None:
                self._given_up += sure
            elif sure or not self.ended:
                self._wanted[key] = stated, sure
        self._give_up_the_oldest()
        self._require_few(self._wanted, "are not on the topic")

    def find(self, found: Found) -> None:
        """Take a record of the topic.

        Raises:
            NotProvableError: too many of them are not of the log.
        """
        if found.stated.user_id in self._but:
            return
        key = identify(found.stated)
        wanted = self._wanted.pop(key, None)
        if wanted is not None:
            self._judge(wanted[0], found)
        else:
            self._repeated |= {key: found} if key in self._found else {}
            self._found[key] = found
            self._require_few(self._found, "are not what the log gives")

    @property
    def awaited(self) -> int:
        """How many of the log wait for their record on the topic."""
        return len(self._wanted)

    @property
    def unexplained(self) -> int:
        """How many records of the topic wait for the log to give them."""
        return len(self._found)

    def missing(self) -> list[Stated]:
        """Return what must be there and is not, once both sides are at their end."""
        return [each for each in self._sure() if not self._is_forgotten(each)]

    @property
    def forgotten(self) -> int:
        """How many may have been there: the topic's retention has deleted that time."""
        return self._given_up + sum(map(self._is_forgotten, self._sure()))

    def strange(self) -> dict[str, Found]:
        """Return what is there and the log does not give, or not a second time, by id."""
        strange = self._repeated | self._found
        return {key: each for key, each in strange.items() if each.stated.user_id not in self._but}

    def _give_up_the_oldest(self) -> None:
        while len(self._wanted) > AHEAD:
            key, (stated, sure) = next(iter(self._wanted.items()))
            if not self._is_forgotten(stated):
                return
            del self._wanted[key]
            self._given_up += sure

    def _sure(self) -> Iterator[Stated]:
        for stated, sure in self._wanted.values():
            if sure and stated.user_id not in self._but:
                yield stated

    def _is_forgotten(self, stated: Stated) -> bool:
        return self.kept_from is None or time_of(stated) <= self.kept_from

    def _judge(self, stated: Stated, found: Found) -> None:
        if stated != found.stated:
            self.altered.append(found)
            self._require_few(self.altered, "say something else than the log gives")
        elif self._on_time and found.early:
            self.early.append(found)
        else:
            self.same += 1

    def _require_few(self, wrong: Sized, what: str) -> None:
        if len(wrong) > WAITING:
            raise NotProvableError(
                f"{self.topic} partition {self.partition}: more than {WAITING:,} records {what}: "
                "is this the playbook that the line follows?"
            )


class Reader:
    """Reads a partition of a topic as far as a replay has come.

    Args:
        records: Its records.
        requests: Are told what is found.
        begin: The offset of the first of them.
        end: The offset after the last of them.
    """

    def __init__(
        self, records: AsyncIterator[Found], requests: Requests, begin: int, end: int
    ) -> None:
        self.begin = begin
        self.end = end
        self._records = records
        self._requests = requests
        self._clock = -1

    async def read_on(self, clock: int) -> None:
        """Read until something is of a later time than this, or nothing is left.

        Very many may be of one time: neither side gets far ahead of the other.
        """
        requests = self._requests
        while (self._clock <= clock and requests.unexplained < AHEAD) or requests.awaited > AHEAD:
            if not await self._read_one():
                return

    async def read_the_rest(self) -> None:
        """Read until nothing is left."""
        while await self._read_one():
            pass

    async def _read_one(self) -> bool:
        found = await anext(self._records, None)
        if found is None:
            self._requests.ended = True
            return False
        self._requests.find(found)
        self._clock = max(self._clock, time_of(found.stated))
        return True
