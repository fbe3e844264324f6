"""Profiles of a changelog against those of a replay, in the midst of a date that very many have."""

from types import SimpleNamespace

from msgspec.structs import replace

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import Profile
from schemas.records import Touchpoint
from streams.prove_profiles import Pair, differences, meet
from streams.rows import Ledger, to_rows
from streams.store import MemoryStore

PLAYBOOK = compile_playbook(find_playbook("second-purchase"))
START, MONTH = 1_700_000_000_000, 30 * 86_400_000
PEOPLE, PART = 50, 20


def ordered() -> Partition:
    """Return a partition in which everybody has ordered once."""
    partition = Partition(PLAYBOOK, {})
    for user in range(PEOPLE):
        paid = {"order_id": f"o{user}", "amount_minor": 1000, "currency": "USD"}
        touchpoint = Touchpoint(f"e{user}", f"u{user}", START, "order_paid", paid)
        partition.apply([(touchpoint, START)])
    return partition


def stored(partition: Partition, clock: int) -> MemoryStore:
    """Return a store that was filled from the changelog of the partition."""
    profiles = partition.profiles
    assert isinstance(profiles, dict)
    rows = to_rows(profiles, Ledger(PEOPLE - 1, clock=clock), partition)
    store = MemoryStore(PLAYBOOK)
    store.load([SimpleNamespace(offset=n, key=key, value=row) for n, (key, row) in enumerate(rows)])
    store.finish()
    return store


def folded(partition: Partition) -> dict[str, Profile]:
    """Return the profiles of a partition."""
    assert isinstance(partition.profiles, dict)
    return partition.profiles


def test_a_worker_amid_a_great_date_is_not_taken_for_wrong() -> None:
    """Of fifty who are due twenty have fired: they differ, and meet once all have."""
    due, log = START + MONTH, ordered()
    worker = ordered()
    worker.advance(due, PART)
    store = stored(worker, due)
    same, different = differences(store, folded(log), ())
    assert (same, len(different)) == (PEOPLE - PART, PART)
    assert all(meet(pair, PLAYBOOK, due) for pair in different)
    assert not any(meet(pair, PLAYBOOK, due - 1) for pair in different)
    worker.advance(due)
    log.advance(due)
    assert differences(stored(worker, due), folded(log), ()) == (PEOPLE, [])


def test_who_differs_otherwise_never_meets() -> None:
    """Another sum, a person too many, one too few: no clock brings them together."""
    worker, log = ordered(), ordered()
    kept = folded(worker)
    kept["u1"] = replace(kept["u1"], monetary_minor=999)
    kept["stranger"] = replace(kept["u2"], user_id="stranger")
    del kept["u3"]
    same, different = differences(stored(worker, START), folded(log), ())
    assert same == PEOPLE - 2
    assert {pair.user_id for pair in different} == {"u1", "stranger", "u3"}
    assert not any(meet(pair, PLAYBOOK, START + 2 * MONTH) for pair in different)
    assert Pair("u3", None, folded(log)["u3"]) in different


def test_nothing_is_said_of_who_is_ahead() -> None:
    """Without transactions a crash may leave people ahead of the ledger."""
    worker, log = ordered(), ordered()
    folded(worker)["u1"] = replace(folded(worker)["u1"], applied=2)
    assert differences(stored(worker, START), folded(log), {"u1"}) == (PEOPLE - 1, [])
