"""Referrals: who brought whom, how far it goes on, and the K factor."""

# ruff: noqa: S608 - names are of this package, values are parameters

from collections import Counter
from typing import NamedTuple

from schemas.records import NOT_TOUCHES
from sinks.sql import Params, ask
from sinks.warehouse import Limits, Warehouse

# A person's parent is the first who referred them of those who were here before, so there are no
# cycles: a parent always came earlier (ties by id). Who was referred and never came is not here.
_TREE = """
    SELECT child AS user_id, argMin(referrer, (at, partition, offset)) AS parent,
        any(child_came) AS came
    FROM
    (
        SELECT r.referrer AS referrer, r.child AS child, r.at AS at, r.partition AS partition,
            r.offset AS offset, p.came AS referrer_came, c.came AS child_came
        FROM
        (
            SELECT user_id AS referrer, JSONExtractString(payload, 'referred_user_id') AS child,
                occurred_at AS at, partition, offset
            FROM touchpoints WHERE kind = 'referral_made'
        ) AS r
        INNER JOIN came AS p ON r.referrer = p.user_id
        INNER JOIN came AS c ON r.child = c.user_id
    )
    WHERE (referrer_came, referrer) < (child_came, child)
    GROUP BY child"""
_CAME = f"""
    came AS
    (
        SELECT user_id, min(toUnixTimestamp64Milli(occurred_at)) AS came
        FROM touchpoints WHERE kind NOT IN {NOT_TOUCHES} GROUP BY user_id
    )"""


class Referred(NamedTuple):
    """A person of the referral tree.

    Attributes:
        user_id: Who.
        parent: Who brought them; empty for a root, who came by another way.
        generation: 0 for a root, 1 for those whom a root brought, ...
        children: How many they brought themselves.
        descendants: How many came by them, directly or not.
    """

    user_id: str
    parent: str
    generation: int
    children: int
    descendants: int


class KFactor(NamedTuple):
    """New people by referral in a period for each person who was there at its start."""

    existing: int
    new: int
    by_referral: int
    k: float


def referral_tree(warehouse: Warehouse, *, limits: Limits | None = None) -> list[Referred]:
    """Return everybody who brought or was brought, the greatest trees first.

    The tree is put together here from its edges; ``limits.rows`` bounds them.
    """
    params = Params()
    sql = f"WITH {_CAME} SELECT user_id, parent FROM ({_TREE}) ORDER BY came, user_id"
    # A parent came before its children: in this order each person's parent is known already.
    edges: list[tuple[str, str]] = ask(warehouse, sql, params, limits)
    parents = dict(edges)
    generations: dict[str, int] = {}
    for child, parent in edges:
        generations[child] = generations.setdefault(parent, 0) + 1
    descendants = Counter[str]()
    for child, parent in reversed(edges):
        descendants[parent] += descendants[child] + 1
    children = Counter(parents.values())
    people = [
        Referred(user_id, parents.get(user_id, ""), depth, children[user_id], descendants[user_id])
        for user_id, depth in generations.items()
    ]
    return sorted(people, key=lambda each: (-each.descendants, each.user_id))


def k_factor(
    warehouse: Warehouse, since: int, until: int, *, limits: Limits | None = None
) -> KFactor:
    """Return the K factor of the period from ``since`` to before ``until``, in milliseconds.

    A person is new in the period of their first touch, and came by referral if the tree has a
    parent for them. Without anybody at the start K is 0.
    """
    params = Params()
    begin, end = params.whole(since), params.whole(until)
    inside = f"came >= {begin} AND came < {end}"
    sql = f"""
        WITH {_CAME}
        SELECT
            (SELECT countIf(came < {begin}) FROM came),
            (SELECT countIf({inside}) FROM came),
            (SELECT countIf({inside}) FROM ({_TREE}))"""
    ((existing, new, by_referral),) = ask(warehouse, sql, params, limits)
    return KFactor(existing, new, by_referral, by_referral / existing if existing else 0.0)
