"""The rows of the changelog: one for each person, the block of the aggregates, and the ledger.

A row of the changelog is ``user_id -> head + profile``. The head has the offset of the touchpoint
that had been applied, the time at which the person's first timer is due (or a little earlier), and
the playbook under which that was worked out: so a worker that comes back decodes no profile. The
last row of each write is the ledger, under the empty key: everything up to its offset is durable.
A crash in the middle of a write leaves rows that are ahead of the ledger; the offsets in them keep
their records from being applied a second time. Compaction keeps the last row of a key, so it
changes nothing of this. Keys that begin with the byte 0xFF, which no text does, are for rows that
belong to no person: a store keeps them as they are.

One of these is the block in hand of the live aggregates, the first row of a write, with its offset:
where a profile is ahead of the ledger the block is, too, so the touches up to its offset are not
counted a second time.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from processors.partition import Counts, Partition
from processors.playbook import Playbook
from processors.timers import next_due
from schemas.aggregates import Block, decode_block, encode_block
from schemas.profile import Profile, decode, encode

LEDGER_KEY = b""
OWN_KEYS = b"\xff"
BLOCK_KEY = OWN_KEYS + b"aggregates"
BROKER_TIME = 1  # Kafka's timestamp type LogAppendTime
NEVER = -1
"""The due time of one who waits for nothing."""
TENURES = 100
"""How many changes of the playbook are remembered: some 35 bytes of each ledger for each."""
_HEAD = struct.Struct(">qqI")
_OFFSET = struct.Struct(">q")
HEAD_BYTES = _HEAD.size


class Tenure(msgspec.Struct, frozen=True, array_like=True):
    """A playbook, and from where on it held in a partition."""

    name: str
    version: int
    fingerprint: int
    """Of all that it says (`processors.playbook`)."""
    offset: int
    """The first record that was applied under it."""
    clock: int
    """The stream clock until which timers had fired under the one before it."""
    firing: int = 0
    """Until when that one was firing more timers than fit in one write; 0: it had done."""


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """What a partition of touchpoints has come to."""

    offset: int = -1
    """The last offset that is applied; -1 for none."""
    dead: int = 0
    """How many of its records are dead letters."""
    clock: int = 0
    """The stream clock, in milliseconds; 0 before the first record."""
    broker_time: bool = False
    """Whether the broker stamps the records (LogAppendTime), so that an idle clock may go on."""
    counted: int = 0
    """How many records its profiles have counted."""
    duplicates: int = 0
    """How many of those that are counted were there already."""
    late: int = 0
    """How many of those that are counted came too late."""
    holes: int = 0
    """How many offsets hold no record: marks of transactions, what was aborted or compacted."""
    followed: dict[str, int] = {}
    """By the definition of a funnel, the offset of the first record that it was followed at."""
    people: int = 0
    """How many profiles there are: a changelog that has fewer has lost some."""
    poison: bytes = b""
    """The last records, a bit each, 1 for a dead letter (`streams.ceiling`)."""
    lineage: bytes = b""
    """Drawn when the changelog was begun: another one tells a store that it is of another."""
    tenures: tuple[Tenure, ...] = ()
    """Which playbooks held, oldest first: what it takes to fold the same log again."""
    firing: int = 0
    """Until when more timers are firing than fit in one write; 0 where none are left."""

    def under(self, playbook: Playbook) -> "Ledger":
        """Return this ledger with a note that the playbook holds from its end on."""
        if self.tenures and self.tenures[-1].fingerprint == playbook.fingerprint:
            return self
        begun = Tenure(
            playbook.name, playbook.version, playbook.fingerprint, self.offset + 1, self.clock,
            self.firing,
        )  # fmt: skip
        return replace(self, tenures=(*self.tenures, begun)[-TENURES:])

    @property
    def counts(self) -> Counts:
        """Return the account of the profiles."""
        applied = self.counted - self.duplicates - self.late
        return Counts(applied, self.duplicates, self.late, self.people)

    @property
    def unaccounted(self) -> int:
        """How many offsets are in no account: 0, or a defect."""
        return self.offset + 1 - self.holes - self.counted - self.dead


class Head(NamedTuple):
    """What stands before a profile in its row."""

    offset: int
    """The offset of the last touchpoint that is applied in it."""
    due: int
    """When its first timer is due, or earlier; `NEVER` without one."""
    playbook: int
    """Fingerprint of the playbook that says so."""


def to_rows(
    changed: dict[str, Profile], ledger: Ledger, partition: Partition, block: Block | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the changelog rows of one write: the block if it changed, the profiles, the ledger."""
    pack, entered, offset = _HEAD.pack, partition.due.entered, ledger.offset
    playbook = partition.playbook.fingerprint
    if block is not None:
        yield BLOCK_KEY, _OFFSET.pack(offset) + encode_block(block)
    for user_id, profile in changed.items():
        due = entered(user_id)
        head = pack(offset, NEVER if due is None else due, playbook)
        yield user_id.encode(), head + encode(profile)
    yield LEDGER_KEY, msgspec.msgpack.encode(ledger)


def is_person(key: bytes) -> bool:
    """Tell whether a row belongs to a person: not the ledger's, and no row of our own."""
    return key != LEDGER_KEY and key[:1] != OWN_KEYS


def read_head(key: bytes, row: bytes) -> Head:
    """Return what stands before the profile.

    Raises:
        ValueError: the row is not ours; the changelog topic is shared or damaged.
    """
    try:
        return Head._make(_HEAD.unpack_from(row))
    except struct.error as error:
        raise ValueError(f"changelog row of {key!r} is not a profile: {error}") from error


def offset_of(key: bytes, row: bytes) -> int:
    """Return the offset of the last touchpoint that is applied in a row.

    Raises:
        ValueError: the row is not ours; the changelog topic is shared or damaged.
    """
    try:
        (offset,) = _OFFSET.unpack_from(row)
    except struct.error as error:
        raise ValueError(f"changelog row of {key!r} is not a profile: {error}") from error
    return int(offset)


def read_profile(key: bytes, row: bytes) -> Profile:
    """Return the profile.

    Raises:
        ValueError: the row is not ours; the changelog topic is shared or damaged.
    """
    try:
        return decode(row[HEAD_BYTES:])
    except msgspec.DecodeError as error:
        raise ValueError(f"changelog row of {key!r} is not a profile: {error}") from error


def read_ledger(row: bytes) -> Ledger:
    """Return the ledger.

    Raises:
        ValueError: the row is not ours; the changelog topic is shared or damaged.
    """
    try:
        return msgspec.msgpack.decode(row, type=Ledger)
    except msgspec.DecodeError as error:
        raise ValueError(f"changelog row of the ledger is not one: {error}") from error


def read_block(row: bytes | None) -> tuple[int, Block]:
    """Return the offset up to which the block in hand has counted, and the block.

    Raises:
        ValueError: the row is not ours; the changelog topic is shared or damaged.
    """
    if row is None:
        return -1, Block()
    try:
        return offset_of(BLOCK_KEY, row), decode_block(row[_OFFSET.size :])
    except msgspec.DecodeError as error:
        raise ValueError(f"changelog row of the live aggregates is not one: {error}") from error


def with_due(key: bytes, row: bytes, playbook: Playbook) -> tuple[Head, bytes]:
    """Return the row with the due time that this playbook gives, and its head.

    A row of the same playbook is returned as it is. Of another one the profile is decoded.

    Raises:
        ValueError: the row is not ours.
    """
    head = read_head(key, row)
    if head.playbook == playbook.fingerprint:
        return head, row
    due = next_due(read_profile(key, row), playbook)
    head = Head(head.offset, NEVER if due is None else due, playbook.fingerprint)
    return head, _HEAD.pack(*head) + row[HEAD_BYTES:]


def with_head(row: bytes, due: int) -> bytes:
    """Return the row with another due time."""
    offset, _, playbook = _HEAD.unpack_from(row)
    return _HEAD.pack(offset, due, playbook) + row[HEAD_BYTES:]
