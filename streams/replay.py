"""Fold a partition of the log again, from its first record, as its workers did.

The playbooks change where the ledger says that they did; everything else follows from the log.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from processors.partition import Effects, Partition
from processors.playbook import Playbook
from processors.timers import next_due
from schemas.codec import Codec
from schemas.profile import Profile
from schemas.wire import DecodeError
from streams.decode import decode_record
from streams.rows import TENURES, Ledger


class NotProvableError(RuntimeError):
    """Nobody can tell whether it is right; the message says why, and what to do."""


class Reign(NamedTuple):
    """A playbook that held from a record on, and the clock at which it took over.

    ``firing`` is until when the one before it was firing timers, and had not done; 0: it was not.
    """

    playbook: Playbook
    offset: int
    clock: int
    firing: int = 0


def reigns(ledger: Ledger, playbooks: Sequence[Playbook], place: str) -> list[Reign]:
    """Return which playbook held from where on, oldest first.

    A playbook is known by all that it says. Where none of the given says just that, the one of the
    same name and version is taken: a newer Touchline may read the same file as saying more.

    Args:
        ledger: Of the partition.
        playbooks: Those that may be among them; the first holds where the ledger says nothing.
        place: What to call the partition.

    Raises:
        NotProvableError: one is not among those given, or the first of them are forgotten.
    """
    if len(ledger.tenures) == TENURES and ledger.tenures[0].offset:
        raise NotProvableError(
            f"{place}: the playbook changed {TENURES} times or more, and which held before offset "
            f"{ledger.tenures[0].offset} is forgotten: `touchline verify` can still count"
        )
    by_fingerprint = {each.fingerprint: each for each in playbooks}
    by_version = {(each.name, each.version): each for each in reversed(playbooks)}
    found: list[Reign] = []
    for each in ledger.tenures:
        playbook = by_fingerprint.get(each.fingerprint) or by_version.get((each.name, each.version))
        if playbook is None:
            raise NotProvableError(
                f"{place}: from offset {each.offset} on, version {each.version} of the playbook "
                f"{each.name} held: give its file, too (--earlier FILE)"
            )
        found.append(Reign(playbook, each.offset, each.clock, each.firing))
    return found or [Reign(playbooks[0], 0, 0)]


class Replay:
    """A partition that is folded again.

    Args:
        codec: Reads the records, by the worker's own rule: what it buried is left out here, too.
        reigns: Which playbooks held, oldest first, one at least.

    Attributes:
        undecided: People whose timers were due while the playbook changed: nobody wrote down which
            of them had fired under the old one, so of these nothing can be said from then on.
    """

    def __init__(self, codec: Codec, reigns: Sequence[Reign]) -> None:
        self._codec = codec
        self._partition = Partition(reigns[0].playbook, {})
        self.undecided: set[str] = set()
        self._next = list(reigns[1:])

    @property
    def clock(self) -> int:
        """The stream clock, in milliseconds."""
        return self._partition.clock

    @property
    def playbook(self) -> Playbook:
        """The playbook that holds now."""
        return self._partition.playbook

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """The profiles as they are now, by user id."""
        profiles = self._partition.profiles
        assert isinstance(profiles, dict)  # noqa: S101 - it was made here
        return profiles

    def apply(self, records: Iterable[Any]) -> list[Effects]:
        """Fold records of touchpoints, in the order of their offsets; return what they caused."""
        effects: list[Effects] = []
        batch: list[tuple[Any, int]] = []
        for record in records:
            if self._next and record.offset >= self._next[0].offset:
                effects += (self._partition.apply(batch), *self._change(record.offset))
                batch = []
            try:
                touchpoint = decode_record(self._codec, record.key, record.value)
            except DecodeError:
                continue
            batch.append((touchpoint, record.timestamp))
        effects.append(self._partition.apply(batch))
        return effects

    def advance(self, following: int, clock: int) -> list[Effects]:
        """Let the clock go on to ``clock``, before the record of the offset ``following``."""
        return [*self._change(following), self._partition.advance(clock)]

    def _change(self, following: int) -> list[Effects]:
        """Go on with the playbook that holds for a record, through those that held before it."""
        effects = []
        while self._next and following >= self._next[0].offset:
            taken = self._next.pop(0)
            if taken.firing:
                self.undecided |= self._due(taken.firing)
            effects.append(self._partition.advance(taken.clock))
            before = self._partition
            self._partition = Partition(taken.playbook, dict(self.profiles))
            self._partition.clock = before.clock
        return effects

    def _due(self, until: int) -> set[str]:
        due = ((user_id, next_due(each, self.playbook)) for user_id, each in self.profiles.items())
        return {user_id for user_id, at in due if at is not None and at <= until}
