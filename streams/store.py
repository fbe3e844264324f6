"""Where the profiles of a partition live between batches: what a store does, and one in memory.

A store is filled from the changelog, hands profiles to the fold, and takes over what a batch has
changed once that is durable in Kafka. So it is behind its changelog or equal to it, never ahead.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from processors.due_index import DueIndex, DueTimes
from processors.partition import Profiles
from processors.playbook import Playbook
from schemas.profile import Profile
from streams.rows import (
    LEDGER_KEY,
    NEVER,
    Ledger,
    is_person,
    offset_of,
    read_ledger,
    read_profile,
    with_due,
)

SCAN = 500
"""How many profiles are looked at in one go."""
OPEN_AT_MOST = 50_000
"""Rows without their ledger that are remembered: compaction leaves one ledger for all of them."""
Records = Sequence[Any]
"""Records of the changelog as they were fetched: ``offset``, ``key`` and ``value`` of each."""


class StoreError(RuntimeError):
    """A store cannot be used; the message says which, why, and what to do."""


class StaleStoreError(StoreError):
    """A store does not go with its changelog; it has to be made anew."""


class Contents(NamedTuple):
    """What a store holds once it has caught up with its changelog."""

    ledger: Ledger | None
    """The last one; None for an empty changelog, or where a crash came before the first."""
    people: int
    """How many profiles there are."""
    ahead: dict[str, int]
    """Profiles that a crash left ahead of the ledger: the offset that each has."""
    own: dict[bytes, bytes]
    """Rows that belong to no person, by key; a crash may have left these ahead, too."""
    read: int
    """How many records were loaded."""


class Store(Protocol):
    """The profiles of one partition, as they are with the batch in hand."""

    @property
    def due(self) -> DueTimes:
        """When each person has a timer due."""

    @property
    def profiles(self) -> Profiles:
        """The profiles, for the fold."""

    def resume(self) -> int | None:
        """Go back to what is kept, and return the changelog's offset to read on from.

        None is its beginning.
        """

    def load(self, records: Records) -> None:
        """Take records of the changelog, in their order.

        Raises:
            ValueError: a row is not ours.
        """

    def finish(self) -> Contents:
        """Make what was loaded ready for use.

        Raises:
            StaleStoreError: what was there before does not go with what was read.
            ValueError: a row is not ours.
        """

    def settle(self, rows: Iterable[tuple[bytes, bytes]], end: int) -> None:
        """Take over rows that are durable and end before the offset ``end``."""

    def scan(self) -> Iterator[list[Profile]]:
        """Yield all profiles by user id, some at a time; the fold may go on in between."""

    def discard(self, reason: str) -> None:
        """Throw everything away, and begin anew from the changelog."""

    def close(self) -> None:
        """Let go of it; what is on the disk stays."""


class Trail:
    """What to remember of the changelog while it is read."""

    def __init__(self) -> None:
        self.first: Ledger | None = None
        self.last: Ledger | None = None
        self.resume: int | None = None
        """Offset of the last ledger that left nobody ahead: whoever reads on there misses none."""
        self.open: dict[bytes, bytes | None] = {}
        """Rows that came after the last ledger, and those that are ahead of it."""
        self.closed_at: int | None = None
        """Offset of the last ledger."""
        self.crowded = False
        """Whether there were too many: then all rows have to be asked who is ahead."""
        self.read = 0

    def close_write(self, row: bytes, offset: int) -> None:
        """Note a ledger: what came before it is complete, but for rows that are ahead of it.

        After a crash in the middle of a write a smaller batch may be the next to be complete.
        """
        self.last = read_ledger(row)
        self.first = self.first or self.last
        self.open = {key: self.open[key] for key in self._ahead()}
        self.closed_at = offset
        if not self.open and not self.crowded:
            self.resume = offset

    def bound(self) -> None:
        """Forget the rows without their ledger if they are too many."""
        if len(self.open) > OPEN_AT_MOST:
            self.open, self.crowded = {}, True

    def ahead(self) -> dict[str, int]:
        """Return the people whose rows are ahead of the last ledger, each with the row's offset."""
        return {key.decode(): offset for key, offset in self._ahead().items()}

    def _ahead(self) -> dict[bytes, int]:
        done = self.last.offset if self.last is not None else -1
        return {
            key: offset
            for key, row in self.open.items()
            if row is not None and is_person(key) and (offset := offset_of(key, row)) > done
        }


class MemoryStore:
    """Profiles in memory; each is decoded when it is first asked for."""

    def __init__(self, playbook: Playbook) -> None:
        self._playbook = playbook
        self._profiles = LazyProfiles()
        self.due = DueIndex()
        self._trail = Trail()
        self._rows: dict[bytes, bytes | None] = {}

    @property
    def profiles(self) -> "LazyProfiles":
        """The profiles, for the fold."""
        return self._profiles

    def resume(self) -> int | None:
        """Begin anew: nothing is kept from run to run."""
        self.discard("")
        return None

    def load(self, records: Records) -> None:
        """Take records of the changelog, in their order."""
        rows, trail = self._rows, self._trail
        trail.read += len(records)
        for record in records:
            key = record.key
            if key == LEDGER_KEY:
                trail.close_write(record.value, record.offset)
            else:
                rows[key] = trail.open[key] = record.value

    def finish(self) -> Contents:
        """Index what was loaded."""
        rows, playbook, due = self._profiles.rows, self._playbook, self.due
        own: dict[bytes, bytes] = {}
        for key, loaded in self._rows.items():
            if loaded is None:
                continue
            if not is_person(key):
                own[key] = loaded
                continue
            head, row = with_due(key, loaded, playbook)
            rows[key.decode()] = row
            if head.due != NEVER:
                due.enter(key.decode(), head.due)
        self._rows = {}
        trail = self._trail
        return Contents(trail.last, len(rows), trail.ahead(), own, trail.read)

    def settle(self, rows: Iterable[tuple[bytes, bytes]], end: int) -> None:
        """Do nothing: what the fold has changed is here already."""

    def scan(self) -> Iterator[list[Profile]]:
        """Yield all profiles by user id, some at a time; the fold may go on in between."""
        users = sorted(self._profiles.users())
        for start in range(0, len(users), SCAN):
            yield [self._profiles.look(user) for user in users[start : start + SCAN]]

    def discard(self, reason: str) -> None:  # noqa: ARG002 - there is no one to tell
        """Throw everything away."""
        self._profiles, self.due = LazyProfiles(), DueIndex()
        self._trail, self._rows = Trail(), {}

    def close(self) -> None:
        """Do nothing."""


class LazyProfiles:
    """Profiles by user id; a row is decoded when its profile is first asked for."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self._decoded: dict[str, Profile] = {}

    def get(self, user_id: str, /) -> Profile | None:
        """Return a person's profile, None for a new person."""
        return self._decoded.get(user_id) or self._decode(user_id)

    def __getitem__(self, user_id: str, /) -> Profile:
        profile = self.get(user_id)
        if profile is None:
            raise KeyError(user_id)
        return profile

    def __setitem__(self, user_id: str, profile: Profile, /) -> None:
        self._decoded[user_id] = profile

    def look(self, user_id: str) -> Profile:
        """Return a person's profile, and leave its row as it is: for who looks at everybody."""
        row = self.rows.get(user_id)
        return self._decoded[user_id] if row is None else read_profile(user_id.encode(), row)

    def users(self) -> Iterator[str]:
        """Yield all user ids, in no order."""
        yield from self._decoded
        yield from self.rows

    def _decode(self, user_id: str) -> Profile | None:
        row = self.rows.pop(user_id, None)
        if row is None:
            return None
        self._decoded[user_id] = profile = read_profile(user_id.encode(), row)
        return profile
