"""Profiles on the disk: the same as in memory, whatever was killed, copied back or damaged."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_worlds import FEW, OTHER, PLAYBOOK, Changelog, filled, life, order_of, run, shown
from strategies import HOUR, START, Log, cuts, logs

from processors.partition import Partition
from schemas.profile import dump
from streams import store as streams_store
from streams.disk_store import DiskStore
from streams.rows import BLOCK_KEY, Ledger, to_rows
from streams.settings import Settings
from streams.store import MemoryStore, Store, StoreError
from streams.stores import Stores
from streams.table import Shard


@FEW
@given(log=logs(), data=st.data())
def test_a_store_on_the_disk_is_a_dict(log: Log, data: st.DataObject) -> None:
    """Tiny cache, restarts, wiped disks, old copies, compaction, another playbook: the same."""
    now, cached = log[-1][1] + 500 * HOUR, data.draw(st.integers(1, 3))
    plain, profiles = Partition(PLAYBOOK, {}), {}
    changelog, playbook, start = Changelog(), PLAYBOOK, 0
    with TemporaryDirectory() as name:
        folder, copy = Path(name) / "0", Path(name) / "copy"
        store = DiskStore(folder, "c/0", playbook, cached)
        shard = changelog.restore(store)
        for stop in [*data.draw(cuts(len(log))), len(log)]:
            batch = log[start:stop]
            idle = log[stop][1] if stop < len(log) else now
            if batch:
                changelog.step(shard, batch, idle)
                plain.apply(batch)
                plain.advance(idle)
            profiles = plain.profiles
            assert shown(store) == list(dump(profiles))
            assert shard.partition.counts == plain.counts
            assert shard.partition.aggregates.block == plain.aggregates.block
            assert len(store.due) == sum(plain.due.entered(user) is not None for user in profiles)
            start = stop
            event = data.draw(st.sampled_from(("", "restart", "wipe", "copy", "old", "new rules")))
            if not event:
                continue
            store.close()
            if event == "wipe" or (event == "old" and copy.exists()):
                shutil.rmtree(folder)
            if event == "copy" and not copy.exists():
                shutil.copytree(folder, copy)
            if event == "old" and copy.exists():
                shutil.copytree(copy, folder)
            if event == "new rules":
                playbook = OTHER if playbook is PLAYBOOK else PLAYBOOK
                clock, block = plain.clock, plain.aggregates.block
                plain = Partition(playbook, profiles, block=block)
                plain.clock = clock
            if data.draw(st.booleans()):
                changelog.compact()
            store = DiskStore(folder, "c/0", playbook, cached)
            shard = changelog.restore(store, playbook)
        store.close()
        assert shown(changelog.restore(MemoryStore(playbook), playbook).store) == list(
            dump(profiles)
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store is."""
    return tmp_path / "state" / "0"


def test_a_restart_reads_the_tail_only(folder: Path) -> None:
    """An intact disk goes on at the ledger that it knows; another worker's writes are read."""
    changelog = Changelog()
    filled(folder, life(20), changelog)
    before = changelog.end
    run(life(5, 1), changelog, changelog.restore(MemoryStore(PLAYBOOK)))
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    assert store.resume() == before - 2
    assert shown(changelog.restore(store).store) == shown(
        changelog.restore(MemoryStore(PLAYBOOK)).store
    )
    store.close()


@pytest.mark.parametrize("broker", ["kafka", "plain"])
def test_a_last_write_without_people_is_gone_on_from(
    tmp_path: Path, broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch of dead letters writes the ledger alone, with the mark of a transaction or without.

    At the next start the store reads on from that ledger, and nothing of it is discarded.
    """
    changelog = Changelog(marks=1 if broker == "kafka" else 0)
    given = Settings.model_validate({"store": "rocksdb", "data": str(tmp_path), "broker": broker})
    for lap in range(2):
        stores = Stores(given, PLAYBOOK)
        shard = changelog.restore(stores.open(0))
        run(life(5, lap), changelog, shard)
        ledger = msgspec.structs.replace(shard.ledger, offset=shard.ledger.offset + 9, dead=9)
        shard.settle(ledger, rows := list(to_rows({}, ledger, shard.partition)),
                     changelog.append(rows))  # fmt: skip
        stores.close()
        assert stores.open(0).resume() == changelog.records[-1].offset
        stores.close()
    assert "is discarded" not in caplog.text


def test_a_fill_that_was_broken_off_leaves_nothing(folder: Path) -> None:
    """The partitions were given back meanwhile; what is read next may be another changelog."""
    first, second = Changelog(b"a"), Changelog(b"b")
    run(life(20), first, first.restore(MemoryStore(PLAYBOOK)))
    run(life(5), second, second.restore(MemoryStore(PLAYBOOK)))
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    assert store.resume() is None
    store.load(first.records)
    second.restore(store)
    assert len(shown(store)) == 5
    store.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_rows_that_belong_to_no_person_come_back(folder: Path, kind: str) -> None:
    """Settled or read, on a whole disk or an empty one: the last of each key, and no person."""
    changelog, shared = Changelog(), b"\xffshared"

    def opened() -> Store:
        return MemoryStore(PLAYBOOK) if kind == "memory" else DiskStore(folder, "c/0", PLAYBOOK, 9)

    def write(shard: Shard, own: dict[bytes, bytes]) -> None:
        ledger = msgspec.structs.replace(shard.ledger)
        rows = [*own.items(), *to_rows({}, ledger, shard.partition)]
        shard.settle(ledger, rows, changelog.append(rows))

    store = opened()
    shard = changelog.restore(store)
    run(life(20), changelog, shard)
    write(shard, {b"\xff": b"1", shared: b"1"})
    store.close()
    store = opened()
    write(changelog.restore(store), {shared: b"2"})
    store.close()
    changelog.compact()
    for wiped in (False, True):
        if wiped and folder.exists():
            shutil.rmtree(folder)
        store = opened()
        shard = changelog.restore(store)
        assert changelog.own.pop(BLOCK_KEY)
        assert changelog.own == {b"\xff": b"1", shared: b"2"}
        assert shard.partition.counts.people == len(shown(store)) == 20
        store.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb", "rocksdb that remembers nothing"])
def test_who_is_ahead_stays_so_until_the_ledger_is_there(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in a write, then after a smaller one: neither makes the first one's rows forgotten."""
    changelog, lineage = Changelog(), b"a"
    if "nothing" in kind:
        monkeypatch.setattr(streams_store, "OPEN_AT_MOST", 0)

    def opened() -> tuple[Store, Shard]:
        store = MemoryStore(PLAYBOOK) if kind == "memory" else DiskStore(folder, "c/0", PLAYBOOK, 9)
        return store, changelog.restore(store)

    def write(shard: Shard, user: str, offset: int, *, complete: bool) -> None:
        effects = shard.partition.apply([(order_of(user), START)])
        people = shard.partition.counts.people
        ledger = Ledger(offset=offset, people=people, lineage=lineage)
        rows = list(to_rows(effects.changed, ledger, shard.partition))
        end = changelog.append(rows if complete else rows[:-1])
        if complete:
            shard.settle(ledger, rows, end)

    store, shard = opened()
    write(shard, "a", 0, complete=True)
    write(shard, "b", 9, complete=False)
    store.close()
    for offset, user, ahead in ((4, "c", {"b": 9}), (6, "d", {"b": 9}), (9, "e", {})):
        store, shard = opened()
        assert changelog.ahead == {"b": 9}
        write(shard, user, offset, complete=True)
        store.close()
        store, _ = opened()
        assert changelog.ahead == ahead
        store.close()


def test_a_store_that_was_not_filled_to_the_end_begins_anew(folder: Path) -> None:
    """Killed while it was filled for the first time: no checkpoint, so none of it is trusted."""
    changelog = Changelog()
    run(life(20), changelog, changelog.restore(MemoryStore(PLAYBOOK)))
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    store.load(changelog.records[:10])
    store.close()
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    assert store.resume() is None
    assert shown(store) == []
    store.close()


@pytest.mark.parametrize("other", ["ahead", "made anew", "another topic"])
def test_a_store_that_does_not_go_with_its_changelog_is_rebuilt(
    folder: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Ahead of its changelog, of one that was made anew, or of another topic: said and rebuilt."""
    changelog = Changelog()
    filled(folder, life(20), changelog)
    topic = "c/0"
    if other == "ahead":
        del changelog.records[len(changelog.records) // 2 :]
        while changelog.records[-1].key != b"":
            changelog.records.pop()
        changelog.end = changelog.records[-1].offset + 2
    elif other == "made anew":
        changelog = Changelog(b"b")
        run(life(30), changelog, changelog.restore(MemoryStore(PLAYBOOK)))
    else:
        topic = "d/0"
    store = DiskStore(folder, topic, PLAYBOOK, 10)
    found = shown(changelog.restore(store).store)
    assert found == shown(changelog.restore(MemoryStore(PLAYBOOK)).store)
    assert "is discarded" in caplog.text
    store.close()


def test_a_damaged_file_is_never_served(folder: Path) -> None:
    """A flipped byte stops the worker, which says so; the next start rebuilds the store."""
    changelog = Changelog()
    before = filled(folder, life(200), changelog)
    (table,) = folder.glob("*.sst")
    data = bytearray(table.read_bytes())
    data[len(data) // 4] ^= 0xFF
    table.write_bytes(data)
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    with pytest.raises(StoreError, match="is damaged"):
        list(store.scan())
    store.close()
    store = DiskStore(folder, "c/0", PLAYBOOK, 10)
    assert shown(changelog.restore(store).store) == before
    store.close()


def test_two_workers_cannot_share_a_folder(tmp_path: Path) -> None:
    """The second one says which folder and what to do; a named one has a folder of its own."""
    first = Settings(store="rocksdb", data=str(tmp_path))
    named = first.model_copy(update={"instance": "b"})
    stores = [Stores(each, PLAYBOOK) for each in (first, first, named)]
    stores[0].open(0)
    with pytest.raises(StoreError, match="TOUCHLINE_INSTANCE"):
        stores[1].open(1)
    stores[2].open(0)
    stores[0].close()
    stores[1].open(0)
    for each in stores:
        each.close()
