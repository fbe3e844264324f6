"""Filling a store on the disk: in little memory, and given up half-way."""

from pathlib import Path
from typing import Any

import pytest
from store_worlds import OTHER, PLAYBOOK, Changelog, filled, life, run

from streams import disk_store
from streams import store as streams_store
from streams.disk_database import Database
from streams.disk_store import DiskStore
from streams.store import MemoryStore


def test_a_compacted_changelog_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ledger is left, behind all rows: they are not gathered until it comes."""
    changelog = Changelog()
    run(life(50), changelog, changelog.restore(MemoryStore(PLAYBOOK)))
    changelog.compact()
    monkeypatch.setattr(streams_store, "OPEN_AT_MOST", 9)
    store = DiskStore(tmp_path / "0", "c/0", PLAYBOOK, 10)
    assert store.resume() is None
    for record in changelog.records:
        store.load([record])
        assert len(store._trail.open) <= 9  # there is no other way to see it
    found = store.finish()
    assert (found.people, found.ahead) == (50, {})
    assert store.resume() == changelog.records[-1].offset
    store.close()


def test_another_playbook_that_was_given_up_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while due times are worked out anew, and back to the old rules: those hold for all."""
    changelog = Changelog()
    filled(tmp_path / "0", life(20), changelog)
    expected = changelog.restore(MemoryStore(PLAYBOOK)).partition.due
    monkeypatch.setattr(disk_store, "AT_ONCE", 5)
    store = DiskStore(tmp_path / "0", "c/0", OTHER, 10)
    write, writes = Database.write, iter(range(100))

    def dying(database: Database, batch: Any, *, logged: bool = True) -> None:
        if next(writes) == 4:
            raise RuntimeError("killed")
        write(database, batch, logged=logged)

    monkeypatch.setattr(Database, "write", dying)
    with pytest.raises(RuntimeError, match="killed"):
        changelog.restore(store, OTHER)
    store.close()
    monkeypatch.undo()
    store = DiskStore(tmp_path / "0", "c/0", PLAYBOOK, 10)
    changelog.restore(store)
    users = [f"u{number}" for number in range(20)]
    assert [store.due.entered(user) for user in users] == [expected.entered(u) for u in users]
    assert len(store.due) == 20
    store.close()
