"""The profiles table: for each partition a shard, its rows in the changelog, and how it comes back.

A row of the changelog is ``user_id -> offset (8 bytes, big endian) + profile``: the profile as it
was when the touchpoint of that offset had been applied. The last row of each write is the ledger,
under the empty key: everything up to its offset is durable. A crash in the middle of a write
leaves rows that are ahead of the ledger; the offsets in them keep their records from being applied
a second time. Compaction keeps the last row of a key, so it changes nothing of this.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec

from processors.partition import Counts, Partition
from processors.playbook import Playbook
from schemas.profile import Profile, decode, encode
from schemas.records import Progress

LEDGER_KEY = b""
_OFFSET = struct.Struct(">q")


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
    """How many records its profiles have counted: what a whole changelog must add up to."""
    poison: bytes = b""
    """The last records, a bit each, 1 for a dead letter (`streams.ceiling`)."""
    duplicates: int = 0
    """How many of those that are counted were there already."""
    late: int = 0
    """How many of those that are counted came too late."""
    holes: int = 0
    """How many offsets hold no record: marks of transactions, what was aborted or compacted."""
    followed: dict[str, int] = {}
    """By the definition of a funnel, the offset of the first record that it was followed at."""

    @property
    def unaccounted(self) -> int:
        """How many offsets are in no account: 0, or a defect."""
        return self.offset + 1 - self.holes - self.counted - self.dead


@dataclass(slots=True)
class Shard:
    """The profiles of one partition, in memory, and their place in the log."""

    partition: Partition
    ledger: Ledger = field(default_factory=Ledger)
    ahead: dict[str, int] = field(default_factory=dict)
    """Profiles that a crash left ahead of the ledger: the offset that each has."""
    account: Counts = field(default_factory=Counts)
    """What became of the records up to the ledger's offset; with its dead letters, of all."""
    changelog_end: int = 0
    """The offset after our last row of the changelog: if it has grown, somebody else wrote."""

    def knows(self, user_id: str, offset: int) -> bool:
        """Return whether this record is already in the person's profile."""
        return offset <= self.ledger.offset or offset <= self.ahead.get(user_id, -1)

    @property
    def counted(self) -> int:
        """How many records the profiles have counted, those of a batch in hand included."""
        counts = self.partition.counts
        return counts.applied + counts.duplicates + counts.late

    def followed(self) -> dict[str, int]:
        """Return what the ledger says of the playbook's funnels; new ones begin where it ends."""
        begin = max(self.ledger.offset, *self.ahead.values(), -1) + 1
        known = self.ledger.followed
        return {each: known.get(each, begin) for each in self.partition.funnels}

    def newly_followed(self) -> list[Progress]:
        """Return the records that say from which touch on new funnels are followed."""
        return [
            Progress(name, key, "", 0, 0, [], best=False, exact=True, version=self.followed()[key])
            for key, name in self.partition.funnels.items()
            if key not in self.ledger.followed
        ]

    def settle(self, ledger: Ledger) -> None:
        """Take over the ledger of a write that is durable."""
        self.ledger = ledger
        self.account = replace(self.partition.counts)
        if self.ahead:
            self.ahead = {u: at for u, at in self.ahead.items() if at > ledger.offset}


def to_rows(changed: dict[str, Profile], ledger: Ledger) -> Iterator[tuple[bytes, bytes]]:
    """Yield the changelog rows of one write: each changed profile once, the ledger last."""
    offset = _OFFSET.pack(ledger.offset)
    for user_id, profile in changed.items():
        yield user_id.encode(), offset + encode(profile)
    yield LEDGER_KEY, msgspec.msgpack.encode(ledger)


def from_rows(playbook: Playbook, rows: dict[bytes, bytes | None]) -> Shard:
    """Build a shard from the last row of each key of its changelog.

    Raises:
        ValueError: a row is not ours; the changelog topic is shared or damaged.
    """
    ledger_row = rows.pop(LEDGER_KEY, None)
    ledger = msgspec.msgpack.decode(ledger_row, type=Ledger) if ledger_row else Ledger()
    profiles: dict[str, Profile] = {}
    ahead: dict[str, int] = {}
    for key, row in rows.items():
        if row is None:
            continue
        try:
            (offset,) = _OFFSET.unpack_from(row)
            profile = decode(row[_OFFSET.size :])
        except (struct.error, msgspec.DecodeError) as error:
            raise ValueError(f"changelog row of {key!r} is not a profile: {error}") from error
        profiles[profile.user_id] = profile
        if offset > ledger.offset:
            ahead[profile.user_id] = offset
    partition = Partition(playbook, profiles)
    partition.clock = ledger.clock
    return Shard(partition, ledger, ahead, replace(partition.counts))
