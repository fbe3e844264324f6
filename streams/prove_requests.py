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
FORGOTTEN = 100_000
"""Where a topic has lost its beginning, so many wait for its first record, then no more."""
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

    Attributes:
        same: How many are there once, and say what the replay says.
        altered: Those that say something else than the replay, under the same id.
        early: Those that were written before their time.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        kept_from: int | None,
        but: Container[str] = frozenset(),
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.same = self._given_up = 0
        self.altered: list[Found] = []
        self.early: list[Found] = []
        self._kept_from = kept_from
        self._but = but
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
            elif self._kept_from is None:
                self._given_up += 1
            else:
                self._wanted[key] = stated, sure
        if self._kept_from and not self.same:
            while len(self._wanted) > FORGOTTEN:
                del self._wanted[next(iter(self._wanted))]
                self._given_up += 1
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

    def _sure(self) -> Iterator[Stated]:
        for stated, sure in self._wanted.values():
            if sure and stated.user_id not in self._but:
                yield stated

    def _is_forgotten(self, stated: Stated) -> bool:
        return time_of(stated) <= (self._kept_from or 0)

    def _judge(self, stated: Stated, found: Found) -> None:
        if stated != found.stated:
            self.altered.append(found)
            self._require_few(self.altered, "say something else than the log gives")
        elif found.early:
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
        """Read until something is of a later time than this, or nothing is left."""
        while self._clock <= clock:
            found = await anext(self._records, None)
            if found is None:
                return
            self._requests.find(found)
            self._clock = max(self._clock, time_of(found.stated))
