"""Which worker has which partition: even shares, as few moves as that allows, copies elsewhere.

`share` is a pure function of what the members of a group say that they have. It stands in for
Faust's ``CopartitionedAssignor``, which leaves a worker without work where copies are kept and
partitions do not divide (four over three: 2, 2 and 0), and moves more than it must where none are.

A partition has replicas: number 0 is its owner, number 1 goes on when the owner ends, the others
are further copies. Number 1 is where the partition would go without its owner, found by sharing
out among the others what the owner has. So when one worker ends, each of its partitions goes to a
worker that has a copy, nothing else moves, and the shares are even again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import inf
from typing import Any, NamedTuple

import msgspec
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientAssignment

VERSION = 1
NO_LOAD: Mapping[str, int] = {}
Holding = AbstractSet[int]
Holdings = Mapping[str, AbstractSet[int]]
Holders = dict[str, set[int]]
"""By member the partitions of one topic."""


class Claim(NamedTuple):
    """What a member says that it has of a topic when it joins."""

    epoch: int = 0
    """How many assignments had been made when it was given this: who stalled has an older one."""
    replicas: Sequence[Holding] = ()
    """The partitions that it owned, then those of which it has copies, the best copies first."""

    def rank(self, rank: int) -> Holding:
        """Return the partitions of which it says that it has this replica."""
        return self.replicas[rank] if rank < len(self.replicas) else frozenset()


def share(
    claims: Mapping[str, Claim],
    partitions: int,
    standbys: int = 0,
    load: Mapping[str, int] = NO_LOAD,
) -> list[Holders]:
    """Share the partitions of a topic out among the members of a group.

    Each owns as many as any other, or one more; as few owners change as that allows. What has to
    move goes to a member that has a copy, if one of them may take it.

    Args:
        claims: By member what it says that it has; at least one member.
        partitions: How many there are; their numbers begin with 0.
        standbys: How many copies each should have on other members; fewer if there are not so many.
        load: By member how much it has of other topics. Who has less gets more, all else equal.

    Returns:
        For each replica, the owner's first, by member the partitions.
    """
    members = sorted(claims)
    copies = [
        {member: claims[member].rank(rank) for member in members}
        for rank in range(1, max(len(claim.replicas) for claim in claims.values()))
    ]
    owned = _owned(claims, partitions)
    orphans = set(range(partitions)).difference(*owned.values())
    total = Counter({member: load.get(member, 0) + len(owned[member]) for member in members})
    _even_out(owned, orphans, copies, total)
    replicas = [owned]
    standbys = min(standbys, len(members) - 1)
    # Whoever comes to this much keeps no copy only because it has it already.
    most = -(-(sum(total.values()) + standbys * partitions) // len(members))
    for number in range(1, standbys + 1):
        add = _heirs if number == 1 else _further
        replicas.append(add(replicas, copies, total, most))
    return replicas


def _owned(claims: Mapping[str, Claim], partitions: int) -> Holders:
    """Return what each member goes on to own: of two who say so, who was told later."""
    free, owned = set(range(partitions)), Holders()
    for member in sorted(claims, key=lambda each: (-claims[each].epoch, each)):
        owned[member] = free & claims[member].rank(0)
        free -= owned[member]
    return {member: owned[member] for member in sorted(owned)}


def _even_out(
    owned: Holders,
    orphans: Holding,
    copies: Sequence[Holdings],
    total: Counter[str],
    most: float = inf,
) -> None:
    """Hand out the orphans, and what somebody has too much of, until all shares are even."""
    base, extra = divmod(len(orphans) + sum(map(len, owned.values())), len(owned))

    def over() -> int:
        return sum(len(own) > base for own in owned.values())

    def give(partition: int, rank: Holdings | None) -> bool:
        limit = base + (over() < extra)
        takers = (member for member, own in owned.items() if len(own) < limit)
        taker = _choose(partition, takers, rank, total, most)
        if taker is not None:
            owned[taker].add(partition)
            total[taker] += 1
        return taker is not None

    left = set(orphans)
    for rank in (*copies, None):
        left.difference_update([partition for partition in sorted(left) if give(partition, rank)])
        for member, own in owned.items():
            for partition in sorted(own):
                if len(own) > base + (over() <= extra) and give(partition, rank):
                    own.remove(partition)
                    total[member] -= 1


def _choose(
    partition: int, takers: Iterable[str], rank: Holdings | None, total: Counter[str], most: float
) -> str | None:
    """Return who has least to do of those who may take a partition and have this copy of it."""
    if rank is not None:
        takers = (each for each in takers if partition in rank[each] and total[each] < most)
    return min(takers, key=lambda member: (total[member], member), default=None)


def _heirs(
    replicas: list[Holders],
    copies: Sequence[Holdings],
    total: Counter[str],
    most: float,
) -> Holders:
    """Return who goes on with which partitions when their owner, and nobody else, has ended."""
    owned = replicas[0]
    heirs: Holders = {member: set() for member in owned}
    for gone in owned:
        after = {member: set(own) for member, own in owned.items() if member != gone}
        _even_out(after, owned[gone], copies, total, most)
        for member, own in after.items():
            heirs[member] |= own - owned[member]
    return heirs


def _further(
    replicas: list[Holders],
    copies: Sequence[Holdings],
    total: Counter[str],
    most: float,
) -> Holders:
    """Return who has one more copy of each partition: who has it already, or has least to do."""
    found: Holders = {member: set() for member in total}
    for partition in sorted(set().union(*replicas[0].values())):
        others = [m for m in sorted(total) if not any(partition in each[m] for each in replicas)]
        ranks = (*copies, None)
        chosen = next(filter(None, (_choose(partition, others, r, total, most) for r in ranks)))
        found[chosen].add(partition)
        total[chosen] += 1
    return found


class Memo(msgspec.Struct, frozen=True, array_like=True):
    """What a member is told with its assignment, and says of itself when it joins again."""

    epoch: int = 0
    replicas: dict[str, list[set[int]]] = {}
    """By topic the partitions that it owns, then its copies."""


class Assignor(PartitionAssignor):  # type: ignore[misc]
    """Shares each topic out by `share`; the rest of the interface is Faust's."""

    name = "touchline"
    version = VERSION

    def __init__(self, app: Any, replicas: int = 0) -> None:
        super().__init__(app, replicas)
        self._memo = Memo()

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Say what this member has: what it was told last, and what is on its disk from before."""
        said = {}
        for topic in topics:
            told = self._memo.replicas.get(topic, [])
            missing = [set[int]()] * (1 + self.replicas - len(told))
            said[topic] = [*told, *missing, self.app.hooks.kept()]
        row = msgspec.msgpack.encode(Memo(self._memo.epoch, said))
        return ConsumerProtocolMemberMetadata(VERSION, sorted(said), row)

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Share out every topic among those who subscribe to it: the leader of the group does."""
        memos = {
            m: msgspec.msgpack.decode(said.user_data, type=Memo) for m, said in members.items()
        }
        epoch = max(memo.epoch for memo in memos.values()) + 1
        told: dict[str, dict[str, list[set[int]]]] = {member: {} for member in members}
        load = Counter[str]()
        for topic in sorted({topic for said in members.values() for topic in said.subscription}):
            claims = {
                member: Claim(memos[member].epoch, memos[member].replicas.get(topic, ()))
                for member, said in members.items()
                if topic in said.subscription
            }
            count = len(cluster.partitions_for_topic(topic) or ())
            for holders in share(claims, count, self.replicas, load):
                for member, partitions in holders.items():
                    told[member].setdefault(topic, []).append(partitions)
                    load[member] += len(partitions)
        return {member: _assignment(Memo(epoch, told[member])) for member in members}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take note of what this member has from now on."""
        self._memo = memo = msgspec.msgpack.decode(assignment.user_data, type=Memo)
        self._assignment = ClientAssignment(
            actives={topic: sorted(each[0]) for topic, each in memo.replicas.items()},
            standbys={
                topic: sorted(set().union(*each[1:])) for topic, each in memo.replicas.items()
            },
        )
        self._active_tps = self._assignment.active_tps
        self._standby_tps = self._assignment.standby_tps


def _assignment(memo: Memo) -> ConsumerProtocolMemberAssignment:
    owned = [(topic, sorted(replicas[0])) for topic, replicas in memo.replicas.items()]
    return ConsumerProtocolMemberAssignment(VERSION, owned, msgspec.msgpack.encode(memo))
