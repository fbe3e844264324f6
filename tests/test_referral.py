"""The referral tree and the K factor against plain Python, and by example."""

from collections.abc import Iterator
from random import Random

import pytest
from warehouses import NewTables

from schemas.records import Touchpoint
from sinks.referrals import KFactor, Referred, k_factor, referral_tree
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Limits, Warehouse, WarehouseRefused


@pytest.fixture
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """The tables of the log, empty."""
    with new_tables() as warehouse:
        yield warehouse


def _store(warehouse: Warehouse, events: list[tuple[int, str, str]]) -> None:
    """Store ``(at, user, whom)``: a referral, or a page view where whom is empty."""
    rows = [
        TOUCHPOINTS.row(
            ("touchpoints", 0, i, 0),
            Touchpoint(f"e{i}", user, at, "referral_made", {"referred_user_id": whom})
            if whom
            else Touchpoint(f"e{i}", user, at, "page_viewed", {"page": "/"}),
        )
        for i, (at, user, whom) in enumerate(events)
    ]
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[::2])


def test_a_tree_by_example(warehouse: Warehouse) -> None:
    """The first to refer a person is the parent; nobody is brought by who came later."""
    _store(
        warehouse,
        [
            (0, "ann", ""), (1, "ann", "bob"), (2, "bob", ""), (3, "cat", ""), (4, "cat", "bob"),
            (5, "bob", "dan"), (6, "dan", ""), (7, "dan", "ann"), (8, "dan", "dan"),
            (9, "bob", "never came"),
        ],
    )  # fmt: skip
    assert referral_tree(warehouse) == [
        Referred("ann", "", 0, 1, 2),
        Referred("bob", "ann", 1, 1, 1),
        Referred("dan", "bob", 2, 0, 0),
    ]
    assert k_factor(warehouse, 2, 10) == KFactor(existing=1, new=3, by_referral=2, k=2.0)
    assert k_factor(warehouse, 0, 1) == KFactor(existing=0, new=1, by_referral=0, k=0.0)


def test_against_plain_python(warehouse: Warehouse) -> None:
    """Parents, generations, descendants and K of a random crowd, cycles tried, are as defined."""
    random = Random(11)  # noqa: S311 - test data
    people = [f"u{i}" for i in range(300)]
    events = [
        (
            random.randrange(200),
            random.choice(people),
            random.choice([*people, "", "", "", "ghost"]),
        )
        for _ in range(1500)
    ]
    _store(warehouse, events)

    came: dict[str, int] = {}
    for at, user, _ in events:
        came[user] = min(came.get(user, at), at)
    parents: dict[str, str] = {}
    for _, _, user, whom in sorted(
        (at, i, user, whom) for i, (at, user, whom) in enumerate(events)
    ):
        if whom in came and (came[user], user) < (came[whom], whom):
            parents.setdefault(whom, user)
    members = {*parents, *parents.values()}

    def ancestors(user: str) -> list[str]:
        return [] if user not in parents else [parents[user], *ancestors(parents[user])]

    expected = {
        user: Referred(
            user,
            parents.get(user, ""),
            len(ancestors(user)),
            sum(parent == user for parent in parents.values()),
            sum(user in ancestors(other) for other in members),
        )
        for user in members
    }
    assert {each.user_id: each for each in referral_tree(warehouse)} == expected
    existing = sum(at < 20 for at in came.values())
    new = [user for user, at in came.items() if 20 <= at < 90]
    brought = sum(user in parents for user in new)
    assert k_factor(warehouse, 20, 90) == KFactor(existing, len(new), brought, brought / existing)
    assert brought > 10


def test_a_tree_too_large_is_refused(warehouse: Warehouse) -> None:
    """A tree beyond the limit fails; it is never half a tree."""
    _store(warehouse, [(0, "a", ""), (1, "b", ""), (2, "c", ""), (3, "a", "b"), (4, "a", "c")])
    with pytest.raises(WarehouseRefused, match="max rows"):
        referral_tree(warehouse, limits=Limits(rows=1))
