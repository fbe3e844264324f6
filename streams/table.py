"""The profiles table: for each partition a shard."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from processors.partition import Counts, Partition
from schemas.records import Progress
from streams.rows import Ledger
from streams.store import Store


@dataclass(slots=True)
class Shard:
    """The profiles of one partition, and their place in the log."""

    partition: Partition
    ledger: Ledger = field(default_factory=Ledger)
    ahead: dict[str, int] = field(default_factory=dict)
    """Profiles that a crash left ahead of the ledger: the offset that each has."""
    counted_to: int = -1
    """The last offset whose touch is in the block of the live aggregates, as it was read back."""
    account: Counts = field(default_factory=Counts)
    """What became of the records up to the ledger's offset; with its dead letters, of all."""
    changelog_end: int = 0
    """The offset after our last row of the changelog: if it has grown, somebody else wrote."""
    replayed: int = 0
    """How many records of the changelog were read to bring it up; 0 for one that was held on to."""
    parts: int = 0
    """How many writes left the offset where it was: those of timers, which may be very many."""
    store: Store | None = None
    """Where the profiles are kept; None where nobody asks for them but the fold."""

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

    def settle(self, ledger: Ledger, rows: Iterable[tuple[bytes, bytes]], end: int) -> None:
        """Take over a write that is durable, and whose rows end before the offset ``end``."""
        self.parts += ledger.offset == self.ledger.offset
        self.ledger = ledger
        self.changelog_end = end
        self.account = replace(self.partition.counts)
        if self.ahead:
            self.ahead = {u: at for u, at in self.ahead.items() if at > ledger.offset}
        if self.store is not None:
            self.store.settle(rows, end)
