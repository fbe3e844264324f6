"""Profiles on the disk, in RocksDB, with a bounded cache of decoded ones.

Three kinds of keys, in one keyspace so that each write is one atomic batch: ``r + changelog key``
is the changelog's row as it came; `streams.disk_due` has the due times; ``c`` is the checkpoint,
which says how far in which changelog this goes. A store without a checkpoint is being filled for
the first time: then nothing is logged, and a crash means beginning anew.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec
from rocksdict import WriteBatch

from processors.playbook import Playbook
from schemas.profile import Profile
from streams.disk_cache import Cache, Entry
from streams.disk_database import Database
from streams.disk_due import DiskDue, due_key
from streams.rows import (
    LEDGER_KEY,
    NEVER,
    OWN_KEYS,
    Ledger,
    is_person,
    offset_of,
    read_head,
    read_ledger,
    read_profile,
    with_due,
    with_head,
)
from streams.store import SCAN, Contents, Records, StaleStoreError, StoreError, Trail

FORMAT = 1
CHECKPOINT = b"c"
ROW = b"r"
PEOPLE = ROW + b"\x00", ROW + OWN_KEYS
"""The rows of people lie between: past the ledger, before rows that belong to nobody."""
OWN = ROW + OWN_KEYS, b"s"
"""The rows that belong to nobody lie between."""
AT_ONCE = 5_000


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """How far a store goes, written together with what it speaks of."""

    format: int
    changelog: str
    """Name of the topic and number of its partition."""
    playbook: int
    """Fingerprint of the playbook that all due times are worked out with."""
    resume: int
    """Offset in the changelog, at or before that of the ledger: where to read on."""
    ledger: Ledger
    people: int
    waiting: int


class DiskStore:
    """The profiles of one partition, in a folder of their own.

    Args:
        folder: Its folder; it is made where it is missing.
        changelog: Name of the changelog's topic and number of its partition.
        playbook: The rules in force.
        cached: How many decoded profiles to keep in memory.
        marks: How many offsets the mark of a transaction takes after each write: 1, or 0 where
            no transactions are.

    Raises:
        StoreError: another process uses the folder, or the disk does not let us.
    """

    due: DiskDue
    _dirty: dict[str, Entry]
    _cache: Cache
    _trail: Trail
    _ahead: dict[str, int]
    _ledger: Ledger
    _indexed: int
    _people: int
    _kin: bool

    def __init__(
        self, folder: Path, changelog: str, playbook: Playbook, cached: int, marks: int = 1
    ) -> None:
        self._database = Database(folder)
        self._changelog = changelog
        self._playbook = playbook
        self._cached = cached
        self._marks = marks
        self._checkpoint = self._read_checkpoint()
        self._begin(self._checkpoint)

    @property
    def profiles(self) -> "DiskStore":
        """The profiles, for the fold."""
        return self

    def get(self, user_id: str, /) -> Profile | None:
        """Return a person's profile, None for a new person."""
        entry = self._find(user_id)
        return None if entry is None else entry.profile

    def __getitem__(self, user_id: str, /) -> Profile:
        profile = self.get(user_id)
        if profile is None:
            raise KeyError(user_id)
        return profile

    def __setitem__(self, user_id: str, profile: Profile, /) -> None:
        self._dirty[user_id] = Entry(profile, self._written(user_id))

    def resume(self) -> int | None:
        """Go back to what is on the disk, and return the changelog's offset to read on from.

        None is its beginning.
        """
        if self._checkpoint is None and self._trail.read:
            self.discard("filling it was broken off")
        self._begin(self._checkpoint)
        return None if self._checkpoint is None else self._checkpoint.resume

    def load(self, records: Records) -> None:
        """Take records of the changelog, in their order."""
        rows: dict[bytes, bytes | None] = {}
        self._trail.read += len(records)
        for record in records:
            key = record.key
            rows[key] = record.value
            if key == LEDGER_KEY:
                self._trail.close_write(record.value, record.offset)
            else:
                self._trail.open[key] = record.value
        self._trail.bound()
        batch = WriteBatch(raw_mode=True)
        if self._checkpoint is None:
            for key, row in rows.items():
                _put(batch, ROW + key, row)
            self._database.write(batch, logged=False)
        else:
            for key, row in rows.items():
                self._replace(batch, key, row)
            self._write(batch, self._checkpoint.resume)

    def finish(self) -> Contents:
        """Make what was loaded ready for use: only then does a checkpoint speak of it."""
        trail = self._trail
        if self._checkpoint is not None and not self._kin:
            self._require_kin(trail.first)
        if self._indexed != self._playbook.fingerprint:
            self._index()
        done = -1 if trail.last is None else trail.last.offset
        self._ahead = self._find_ahead(done) if trail.crowded else trail.ahead()
        if trail.last is not None:
            self._ledger, self._kin = trail.last, True
            whole = trail.crowded and not self._ahead
            resume = trail.closed_at if whole else trail.resume
            self._write(WriteBatch(raw_mode=True), self._resume(resume))
        return Contents(trail.last, self._people, self._ahead, self._own(), trail.read)

    def _find_ahead(self, done: int) -> dict[str, int]:
        """Return who is ahead of the ledger, of all people."""
        return {
            key[len(ROW) :].decode(): offset
            for chunk in self._database.items(*PEOPLE, AT_ONCE)
            for key, row in chunk
            if (offset := offset_of(key, row)) > done
        }

    def _resume(self, resume: int | None) -> int:
        """Return where to read on; where nothing better is known, the same as before."""
        if resume is not None:
            return resume
        return 0 if self._checkpoint is None else self._checkpoint.resume

    def _own(self) -> dict[bytes, bytes]:
        found = chain.from_iterable(self._database.items(*OWN, AT_ONCE))
        return {key[len(ROW) :]: row for key, row in found}

    def settle(self, rows: Iterable[tuple[bytes, bytes]], end: int) -> None:
        """Write rows that are durable in the changelog, and all that goes with them, at once."""
        batch, dirty = WriteBatch(raw_mode=True), self._dirty
        for key, row in rows:
            batch.put(ROW + key, row)
        self._ledger = read_ledger(row)  # the last row
        self._people = self._ledger.people
        for user_id, was, due in self.due.moves():
            user = user_id.encode()
            _move(batch, user, was, due)
            if user_id not in dirty:  # it came up early: nothing but its due time is another
                batch.put(ROW + user, with_head(self._row(user), due))
                dirty[user_id] = Entry(self[user_id], due)
        for user_id, entry in dirty.items():
            due_now = self.due.entered(user_id)
            self._cache.put(user_id, Entry(entry.profile, NEVER if due_now is None else due_now))
        done = self._ledger.offset
        self._ahead = {user: offset for user, offset in self._ahead.items() if offset > done}
        # Only the rows themselves say that they are ahead: while there are some, they are read.
        self._write(batch, self._resume(None if self._ahead else end - self._marks - 1))
        dirty.clear()
        self.due.settle()

    def scan(self) -> Iterator[list[Profile]]:
        """Yield all profiles by user id, some at a time; the fold may go on in between."""
        for chunk in self._database.items(*PEOPLE, SCAN):
            yield [read_profile(key, row) for key, row in chunk]

    def discard(self, reason: str) -> None:
        """Throw everything away, and begin anew from the changelog."""
        self._database.discard(reason)
        self._checkpoint = None
        self._begin(self._checkpoint)

    def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        self._database.close()

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        """Go back to what is on the disk."""
        self._dirty = {}
        self._cache = Cache(self._cached)
        self._trail = Trail()
        self._ahead = {}
        self._kin = False
        self.due = DiskDue(self._database, self._written)
        known = checkpoint or Checkpoint(FORMAT, self._changelog, 0, 0, Ledger(), 0, 0)
        self._ledger = known.ledger
        self._indexed = known.playbook
        self._people = known.people
        self.due.waiting = known.waiting

    def _read_checkpoint(self) -> Checkpoint | None:
        row = self._database.get(CHECKPOINT)
        if row is None:
            if next(self._database.items(b"", b"\xff", 1), None):
                self._database.discard("it was not filled to the end")
            return None
        try:
            found = msgspec.msgpack.decode(row, type=Checkpoint)
        except msgspec.DecodeError as error:
            self._database.discard(f"its checkpoint cannot be read: {error}")
            return None
        if (found.format, found.changelog) != (FORMAT, self._changelog):
            self._database.discard(f"it is of {found.changelog}, format {found.format}")
            return None
        return found

    def _require_kin(self, first: Ledger | None) -> None:
        """Make sure that the changelog goes on from what is here."""
        own = self._ledger
        if first is None or first.lineage != own.lineage or first.offset < own.offset:
            raise StaleStoreError(f"it is ahead of {self._changelog}, or of another one")

    def _replace(self, batch: WriteBatch, key: bytes, row: bytes | None) -> None:
        """Put a row of the changelog in the place of the one that is here."""
        if is_person(key):
            old = self._database.get(ROW + key)
            was, due = NEVER if old is None else read_head(key, old).due, NEVER
            if row is not None:
                (_, due, _), row = with_due(key, row, self._playbook)
            _move(batch, key, was, due)
            self._people += (row is not None) - (old is not None)
            self.due.waiting += (due != NEVER) - (was != NEVER)
        _put(batch, ROW + key, row)

    def _index(self) -> None:
        """Enter each person's due time: at first, and when another playbook is in force."""
        playbook, first = self._playbook, self._checkpoint is None
        if not first:
            self._indexed = 0  # if this is broken off, rows of two playbooks are left
            self._write(WriteBatch(raw_mode=True), self._resume(None))
        self._people = self.due.waiting = 0
        for chunk in self._database.items(*PEOPLE, AT_ONCE):
            batch = WriteBatch(raw_mode=True)
            for full_key, old in chunk:
                key = full_key[len(ROW) :]
                was = NEVER if first else read_head(key, old).due
                head, row = with_due(key, old, playbook)
                _move(batch, key, was, head.due)
                if row is not old:
                    batch.put(full_key, row)
                self._people += 1
                self.due.waiting += head.due != NEVER
            self._database.write(batch, logged=not first)
        self._database.flush()
        self._indexed = playbook.fingerprint

    def _write(self, batch: WriteBatch, resume: int) -> None:
        """Write a batch together with the checkpoint."""
        checkpoint = Checkpoint(
            FORMAT,
            self._changelog,
            self._indexed,
            resume,
            self._ledger,
            self._people,
            len(self.due),
        )
        batch.put(CHECKPOINT, msgspec.msgpack.encode(checkpoint))
        self._database.write(batch)
        self._checkpoint = checkpoint

    def _row(self, key: bytes) -> bytes:
        row = self._database.get(ROW + key)
        if row is None:
            raise StoreError(f"{self._database.folder} has no row of {key!r}: restart the worker")
        return row

    def _find(self, user_id: str) -> Entry | None:
        entry = self._dirty.get(user_id) or self._cache.get(user_id)
        if entry is None:
            key = user_id.encode()
            row = self._database.get(ROW + key)
            if row is None:
                return None
            entry = Entry(read_profile(key, row), read_head(key, row).due)
            self._cache.put(user_id, entry)
        return entry

    def _written(self, user_id: str) -> int:
        entry = self._find(user_id)
        return NEVER if entry is None else entry.written


def _put(batch: WriteBatch, key: bytes, row: bytes | None) -> None:
    if row is None:
        batch.delete(key)
    else:
        batch.put(key, row)


def _move(batch: WriteBatch, user: bytes, was: int, due: int) -> None:
    if was == due:
        return
    if was != NEVER:
        batch.delete(due_key(was, user))
    if due != NEVER:
        batch.put(due_key(due, user), b"")
