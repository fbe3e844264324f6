"""Due times on the disk: in the order of time, so that only what is due is ever read.

A person has one key, ``d + due (8 bytes, big endian) + user_id``, and the same due time in the
head of the row. Times that moved since the last write are in memory only; a time that moves later
leaves its key where it is, as in `processors.due_index.DueIndex`, and comes up early.
"""

import struct
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from streams.disk_database import Database
from streams.rows import NEVER

PREFIX = b"d"
_DUE = struct.Struct(">q")
_USER = len(PREFIX) + _DUE.size


class Move(NamedTuple):
    """A due time that changed since the last write; `NEVER` for none."""

    user_id: str
    was: int
    due: int


def due_key(due: int, user_id: bytes) -> bytes:
    """Return the key under which a person waits."""
    return PREFIX + _DUE.pack(due) + user_id


class DiskDue:
    """The due times of a partition.

    Args:
        database: Where the keys are.
        written: Gives the due time in a person's row; `NEVER` without a row.
    """

    def __init__(self, database: Database, written: Callable[[str], int]) -> None:
        self.waiting = 0
        """How many people wait."""
        self._database = database
        self._written = written
        self._moved: dict[str, int] = {}
        self._was: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._reach = PREFIX
        """Keys before this one have been read, and are in the heap or out of it."""

    def __len__(self) -> int:
        return self.waiting

    def entered(self, user_id: str) -> int | None:
        """Return when the person comes up; None for one who waits for nothing."""
        due = self._moved.get(user_id)
        if due is None:
            due = self._written(user_id)
        return None if due == NEVER else due

    def may_be_due(self, user_id: str, now: int) -> bool:
        """Tell whether the person may have a timer due at ``now``."""
        entered = self.entered(user_id)
        return entered is not None and entered <= now

    def enter(self, user_id: str, due: int) -> None:
        """Make sure that the person comes up at ``due`` or earlier."""
        entered = self.entered(user_id)
        if entered is not None and entered <= due:
            return
        self.waiting += entered is None
        self._move(user_id, due)
        if due_key(due, user_id.encode()) < self._reach:
            heappush(self._heap, (due, user_id))

    def pop(self, now: int) -> tuple[int, str] | None:
        """Take out the first entry at ``now`` or earlier; ties in time go by user id."""
        self._read_until(now)
        while self._heap and self._heap[0][0] <= now:
            due, user_id = heappop(self._heap)
            if self.entered(user_id) == due:
                self._move(user_id, NEVER)
                self.waiting -= 1
                return due, user_id
        return None

    def moves(self) -> Iterator[Move]:
        """Yield what differs from the disk."""
        for user_id, due in self._moved.items():
            if (was := self._was[user_id]) != due:
                yield Move(user_id, was, due)

    def settle(self) -> None:
        """Forget the moves: they are written."""
        self._moved.clear()
        self._was.clear()

    def _move(self, user_id: str, due: int) -> None:
        if user_id not in self._was:
            self._was[user_id] = self._written(user_id)
        self._moved[user_id] = due

    def _read_until(self, now: int) -> None:
        """Put what is due up to ``now`` into the heap: each key is read once in a process."""
        end = PREFIX + _DUE.pack(now + 1)
        if end <= self._reach:
            return
        for key in self._database.keys(self._reach, end):
            heappush(self._heap, (_DUE.unpack_from(key, len(PREFIX))[0], key[_USER:].decode()))
        for user_id, due in self._moved.items():
            if due != NEVER and self._reach <= due_key(due, user_id.encode()) < end:
                heappush(self._heap, (due, user_id))
        self._reach = end
