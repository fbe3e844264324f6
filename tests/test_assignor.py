"""Shares of a group: even, with the fewest moves, copies elsewhere; alone, and in Faust's place."""

from collections.abc import Iterable, Mapping
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocol
from hypothesis import given
from hypothesis import strategies as st

from streams.faust_app import Hooks, new_app
from streams.faust_assignor import Claim, Holders, share
from streams.settings import Settings

NAMES = st.sampled_from("abcdefg")
PARTITIONS = st.integers(1, 14)
STANDBYS = st.integers(0, 2)
SOME = st.sets(st.integers(0, 16))
ANY_CLAIMS = st.dictionaries(
    NAMES, st.builds(Claim, st.integers(0, 3), st.lists(SOME, max_size=4)), min_size=1
)
HISTORIES = st.lists(st.sets(NAMES, min_size=1), min_size=1, max_size=5)
"""Who is in the group, one rebalance after the other."""


def told(replicas: list[Holders], members: Iterable[str], epoch: int = 1) -> dict[str, Claim]:
    """Return what members say who were told this, and what those say who are new."""
    return {
        m: Claim(epoch, [each[m] for each in replicas]) if m in replicas[0] else Claim()
        for m in members
    }


def lived(history: Iterable[Iterable[str]], partitions: int, standbys: int) -> list[Holders]:
    """Return what the members have after these rebalances."""
    replicas: list[Holders] = [{}]
    for epoch, members in enumerate(history, 1):
        replicas = share(told(replicas, members, epoch), partitions, standbys)
    return replicas


def sizes(holders: Holders) -> list[int]:
    """Return how many each has, the most first."""
    return sorted(map(len, holders.values()), reverse=True)


@given(ANY_CLAIMS, PARTITIONS, STANDBYS)
def test_shares_are_whole_even_and_copies_elsewhere(
    claims: Mapping[str, Claim], partitions: int, standbys: int
) -> None:
    """Whatever members say: each replica of each partition is somewhere once, on its own member."""
    replicas = share(claims, partitions, standbys)
    assert len(replicas) == 1 + min(standbys, len(claims) - 1)
    for holders in replicas:
        assert holders.keys() == claims.keys()
        assert sorted(p for each in holders.values() for p in each) == list(range(partitions))
    for member in claims:
        has = [p for holders in replicas for p in holders[member]]
        assert len(has) == len(set(has))
    assert max(sizes(replicas[0])) - min(sizes(replicas[0])) <= 1


@given(ANY_CLAIMS, PARTITIONS, STANDBYS)
def test_the_order_of_members_is_no_matter(
    claims: Mapping[str, Claim], partitions: int, standbys: int
) -> None:
    """Any leader, whoever it hears first, comes to the same."""
    backwards = dict(reversed(claims.items()))
    assert share(claims, partitions, standbys) == share(backwards, partitions, standbys)


@given(HISTORIES, st.integers(1, 5), STANDBYS, st.sets(st.sampled_from("abcd"), min_size=1))
def test_no_even_shares_have_fewer_moves(
    history: list[set[str]], partitions: int, standbys: int, members: set[str]
) -> None:
    """Of all ways to give the partitions to these members evenly, none moves fewer."""
    before = lived(history, partitions, standbys)
    after = share(told(before, members, len(history) + 1), partitions, standbys)[0]
    owner = {p: m for m, each in before[0].items() for p in each}

    def moves(owners: Iterable[str]) -> int:
        return sum(owner[p] != m for p, m in enumerate(owners))

    ways = product(sorted(members), repeat=partitions)
    even = [w for w in ways if max(c := [w.count(m) for m in members]) - min(c) <= 1]
    ours = [next(m for m in members if p in after[m]) for p in range(partitions)]
    assert moves(ours) == min(map(moves, even))


@given(HISTORIES, PARTITIONS, STANDBYS)
def test_a_rebalance_without_a_reason_changes_nothing(
    history: list[set[str]], partitions: int, standbys: int
) -> None:
    """The same members say what they were told: owners and copies stay."""
    replicas = lived(history, partitions, standbys)
    again = share(told(replicas, replicas[0], len(history) + 1), partitions, standbys)
    assert again == replicas


@given(HISTORIES, PARTITIONS, st.integers(1, 2))
def test_when_one_ends_all_it_had_goes_to_copies_and_nothing_else_moves(
    history: list[set[str]], partitions: int, standbys: int
) -> None:
    """Whoever it is, and whatever came before."""
    replicas = lived(history, partitions, standbys)
    owned, *copies = replicas
    for gone in owned if copies else ():
        after = share(told(replicas, owned.keys() - {gone}), partitions, standbys)[0]
        for member, now in after.items():
            assert owned[member] <= now
            assert now - owned[member] <= copies[0][member]


def test_a_worker_that_stalled_takes_nothing_back() -> None:
    """It says that it has what another was given meanwhile: the later word counts."""
    claims = {"old": Claim(1, [{0}]), "new": Claim(2, [{0}]), "other": Claim(2, [{1}])}
    assert share(claims, 2) == [{"old": set(), "new": {0}, "other": {1}}]


def test_a_worker_that_comes_back_gets_what_is_on_its_disk() -> None:
    """One that is new to the group, and has old copies: of all that may move, these do."""
    claims = {"here": Claim(1, [{0, 1, 2, 3}]), "back": Claim(0, [set(), set(), {1, 3}])}
    assert share(claims, 4) == [{"here": {0, 2}, "back": {1, 3}}]


def test_topics_of_a_few_partitions_do_not_all_go_to_the_same() -> None:
    """Where all else is equal, who has less of other topics gets more."""
    assert share({"a": Claim(), "b": Claim()}, 1, load={"a": 2, "b": 1}) == [{"a": set(), "b": {0}}]


class Group:
    """Members with apps of their own, who join and are assigned by what goes over the wire."""

    def __init__(self, standbys: int, topics: Mapping[str, int]) -> None:
        self._standbys = standbys
        self._topics = topics
        self.apps: dict[str, Any] = {}

    def join(self, name: str, kept: Iterable[int] = ()) -> None:
        """Add a member; it has nothing until the next rebalance."""

        async def nothing(*_: Any) -> Any:
            return None

        hooks = Hooks(nothing, nothing, nothing, kept=lambda: set(kept))
        self.apps[name] = new_app(Settings(web_port=0), "group", hooks, standbys=self._standbys)

    def rebalance(self) -> dict[str, int]:
        """Assign all partitions; return how many each has."""
        metadata, assignment = ConsumerProtocol.METADATA, ConsumerProtocol.ASSIGNMENT
        said = {
            name: metadata.decode(app.assignor.metadata(set(self._topics)).encode())
            for name, app in self.apps.items()
        }
        leader = min(self.apps)
        cluster = SimpleNamespace(partitions_for_topic=lambda name: set(range(self._topics[name])))
        assigned = self.apps[leader].assignor.assign(cluster, said)
        for name, app in self.apps.items():
            app.assignor.on_assignment(assignment.decode(assigned[name].encode()))
        return {name: len(self.owned(name)) for name in self.apps}

    def owned(self, name: str) -> set[Any]:
        """Return the partitions that a member has."""
        return set(self.apps[name].assignor.assigned_actives())

    def copied(self, name: str) -> set[Any]:
        """Return the partitions of which a member has copies."""
        return set(self.apps[name].assignor.assigned_standbys())


@pytest.mark.parametrize("standbys", [0, 1])
def test_a_group_that_grows_and_shrinks_stays_even_and_moves_the_least(standbys: int) -> None:
    """Twelve over one to four members and back: what goes over the wire is what `share` says."""
    group = Group(standbys, {"touchpoints": 12})
    for number, name in enumerate("abcd", 1):
        before = {each: group.owned(each) for each in group.apps}
        group.join(name)
        assert set(group.rebalance().values()) == {12 // number}
        assert all(group.owned(each) <= had for each, had in before.items())
    for number, name in ((3, "a"), (2, "c")):
        before = {each: group.owned(each) for each in group.apps}
        copied = {each: group.copied(each) for each in group.apps}
        del group.apps[name]
        assert set(group.rebalance().values()) == {12 // number}
        for each in group.apps:
            assert before[each] <= group.owned(each)
            if standbys:
                assert group.owned(each) - before[each] <= copied[each]


def test_copies_leave_no_worker_without_work() -> None:
    """Four over three members with copies: 2, 1 and 1, where Faust's own gives 2, 2 and 0."""
    group = Group(1, {"touchpoints": 4})
    for name in "abc":
        group.join(name)
        shares = group.rebalance()
    assert sorted(shares.values()) == [1, 1, 2]
    assert sum(len(group.copied(name)) for name in "abc") == 4
    assert all(not group.owned(name) & group.copied(name) for name in "abc")


def test_a_group_of_many_topics_shares_each_and_all_of_them() -> None:
    """A sink's topics of one and of four partitions, over three members: 4, 4 and 3."""
    group = Group(0, {"a": 1, "b": 4, "c": 1, "d": 4, "e": 1})
    for name in "xyz":
        group.join(name)
    assert sorted(group.rebalance().values()) == [3, 4, 4]


def test_what_is_on_the_disk_comes_back() -> None:
    """A worker that was away, and was told nothing since, gets the partitions of its folders."""
    group = Group(1, {"touchpoints": 4})
    group.join("a")
    group.rebalance()
    group.join("b", kept={1, 2})
    group.rebalance()
    assert {tp.partition for tp in group.owned("b")} == {1, 2}
