"""Live aggregates: the sums of a log, however it is cut, restarted, crashed and repeated."""

from types import SimpleNamespace
from unittest.mock import patch

import msgspec
import pytest
from histories import lives
from hypothesis import given
from hypothesis import strategies as st
from live_worlds import PLAYBOOK, count_all, fold_cut, totals, with_campaigns
from playbook_yaml import brisk
from strategies import START, THOROUGH, Log, cuts, logs

from processors import aggregates
from processors.counting import LONGEST_VALUE, TOO_LONG, VALUES_AT_MOST, days_kept
from processors.partition import Partition
from schemas.aggregates import decode_block, encode_block
from schemas.profile import encode
from schemas.records import Touchpoint
from streams.restore import new_shard
from streams.rows import Ledger, to_rows
from streams.store import MemoryStore
from streams.table import Shard

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LOGS = (lives() | logs()).map(with_campaigns)
CELLS = st.sampled_from((6, 20, 512))
"""How large blocks are: the smallest close with every touch or two."""


def view(number: int, at: int, user: str = "ann", **fields: object) -> Touchpoint:
    """Return a page view."""
    payload = {"page": "/", "category": "", "duration_ms": 0}
    return msgspec.structs.replace(
        Touchpoint(f"e{number}", user, at, "page_viewed", payload), **fields
    )


@THOROUGH
@given(log=LOGS, data=st.data(), cells=CELLS, restart=st.booleans())
def test_the_sums_are_those_of_a_brute_force(
    log: Log, data: st.DataObject, cells: int, *, restart: bool
) -> None:
    """Over all blocks the rows add up to what sets of people and plain sums over the log give."""
    with patch.object(aggregates, "CELLS_AT_MOST", cells):
        folded = fold_cut(log, data.draw(cuts(len(log))), restart=restart)
    assert totals(folded.rows.values()) == count_all(log)


@THOROUGH
@given(log=LOGS, data=st.data(), cells=CELLS)
def test_the_last_row_of_each_key_is_the_same_for_any_cut(
    log: Log, data: st.DataObject, cells: int
) -> None:
    """Batches and restarts change no byte of the rows that stay, nor of the block in hand."""
    with patch.object(aggregates, "CELLS_AT_MOST", cells):
        one = fold_cut(log, [])
        many = fold_cut(log, data.draw(cuts(len(log))), restart=True)
        each = fold_cut(log, range(len(log)))
    written = msgspec.msgpack.encode
    assert {k: written(row) for k, row in many.rows.items()} == {
        k: written(row) for k, row in one.rows.items()
    }
    assert each.rows == one.rows
    for folded in (many, each):
        newest: dict[str, int] = {}
        for row in folded.sent:
            assert row.version > newest.get(row.key, 0), "each row has a higher version"
            newest[row.key] = row.version
            assert len({len(c) for c in msgspec.structs.astuple(row) if isinstance(c, list)}) == 1


@THOROUGH
@given(log=LOGS, data=st.data(), cells=CELLS)
def test_a_crash_in_the_middle_of_a_changelog_write_counts_nothing_twice(
    log: Log, data: st.DataObject, cells: int
) -> None:
    """Where the broker has no transactions, any part of a write may be all that is left of it."""
    durable: list[tuple[bytes, bytes]] = []
    sent: dict[str, object] = {}
    with patch.object(aggregates, "CELLS_AT_MOST", cells):
        shard = _restored([])
        start = 0
        while start < len(log):
            stop = data.draw(st.integers(start + 1, len(log)))
            rows = _apply(shard, log, stop, sent)
            crashed_at = data.draw(st.integers(0, len(rows)))
            durable += rows[:crashed_at]
            if crashed_at < len(rows):
                shard = _restored(durable)
            start = shard.ledger.offset + 1
            if data.draw(st.integers(0, 3)) == 0:  # in the end all goes well
                rows = _apply(shard, log, len(log), sent)
                break
        assert sent == fold_cut(log, []).rows


def _restored(rows: list[tuple[bytes, bytes]]) -> Shard:
    """Return what a worker has of a changelog."""
    store = MemoryStore(PLAYBOOK)
    store.load([SimpleNamespace(offset=n, key=k, value=v) for n, (k, v) in enumerate(rows)])
    return new_shard(PLAYBOOK, store, store.finish())


def _apply(shard: Shard, log: Log, stop: int, sent: dict[str, object]) -> list[tuple[bytes, bytes]]:
    """Apply the records up to an offset as the worker does; return the rows of its changelog."""
    offsets = [
        offset
        for offset in range(shard.ledger.offset + 1, stop)
        if not shard.knows(log[offset][0].user_id, offset)
    ]
    counted = sum(offset <= shard.counted_to for offset in offsets)
    effects = shard.partition.apply([log[offset] for offset in offsets], counted=counted)
    sent.update(effects.aggregates)
    ledger = Ledger(stop - 1, clock=shard.partition.clock, people=shard.partition.counts.people)
    block = shard.partition.aggregates.block if effects.aggregates else None
    rows = list(to_rows(effects.changed, ledger, shard.partition, block))
    shard.settle(ledger, rows, 0)
    return rows


def test_a_late_touch_of_an_old_day_adds_to_the_block_in_hand() -> None:
    """An old window gets another row, and the rows of closed blocks stay as they are."""
    with patch.object(aggregates, "CELLS_AT_MOST", 6):
        partition = Partition(PLAYBOOK, {})
        log = [(view(n, START + n * HOUR), START + n * HOUR) for n in range(30)]
        before = partition.apply(log).aggregates
        late = view(99, START, channel="wecom")
        after = partition.apply([(late, START + 30 * HOUR)]).aggregates
    (row,) = (row for row in after.values() if row.grain == "day")
    first = [old for old in before.values() if (old.grain, old.start) == ("day", row.start)]
    assert row.key not in before
    assert sum(old.people[0] for old in first) == 1
    assert (row.touches[0], row.people[0]) == (1, 0)
    assert row.people[row.values.index("wecom")] == 1


def test_what_a_partition_keeps_is_bounded() -> None:
    """However many campaigns and days there are, the block in hand and the profile stay small."""
    partition = Partition(PLAYBOOK, {})
    for number in range(4_000):
        at = START + number * HOUR
        campaign = f"campaign-{number:060}"[: LONGEST_VALUE + number % 2]
        touch = view(number, at - (number % 6) * DAY, campaign=campaign, channel=f"c{number % 50}")
        partition.apply([(touch, at)])
        cells = sum(map(len, partition.aggregates.block.days.values()))
        assert cells <= aggregates.CELLS_AT_MOST + 10
    (profile,) = partition.profiles.values()
    assert len(profile.days) <= days_kept(PLAYBOOK.lateness)
    assert all(len(day.campaigns) <= VALUES_AT_MOST for day in profile.days)
    assert len(encode(profile)) < 16_000


def test_a_touch_of_more_than_a_month_ago_counts_without_its_person() -> None:
    """Who was counted on a day is remembered for 31 days, however late a touch may come."""
    partition = Partition(brisk(lateness="60d"), {})
    now = START + 100 * DAY
    told = []
    for user, ago in (("ann", 31 * DAY), ("bob", 31 * DAY + 1)):
        rows = partition.apply([(view(1, now - ago, user), now)]).aggregates.values()
        (day,) = (row for row in rows if row.grain == "day")
        told.append((day.touches[0], day.people[0]))
    assert told == [(1, 1), (2, 1)]


def test_a_touch_that_is_dated_ahead_counts_on_the_day_of_the_log() -> None:
    """Tomorrow's figures begin tomorrow, whatever a publisher's clock says."""
    partition = Partition(brisk(), {})
    now = START // DAY * DAY + 23 * HOUR
    rows = partition.apply([(view(1, now + 3 * HOUR), now)]).aggregates.values()
    assert [row.start for row in rows if row.grain == "day"] == [START // DAY * DAY]


def test_a_person_is_remembered_on_as_many_days_as_the_bound_says() -> None:
    """Seven days and a half reach into nine days, where they begin in the evening."""
    partition = Partition(brisk(lateness="180h"), {})
    now = START // DAY * DAY + 6 * HOUR
    times = [now - hours * HOUR for hours in range(180, -1, -12)]
    partition.apply((view(number, at), now) for number, at in enumerate(times))
    assert len(partition.profiles["ann"].days) == len({at // DAY for at in times}) == 9
    assert days_kept(180 * HOUR) == 9


def test_a_value_beyond_the_bound_has_touches_and_no_person() -> None:
    """The ninth channel or campaign of a day counts its touches; too long a name has another."""
    for field in ("campaign", "channel"):
        log = [(view(n, START, **{field: f"c{n}"}), START) for n in range(VALUES_AT_MOST + 1)]
        (day,) = (r for r in fold_cut(log, []).rows.values() if r.grain == "day")
        people = dict(zip(day.values, day.people, strict=True))
        assert [people[f"c{n}"] for n in range(VALUES_AT_MOST + 1)] == [1] * VALUES_AT_MOST + [0]
        assert sum(day.touches) == 5 * len(log)
    (row, *_) = fold_cut([(view(1, START, channel="x" * 65), START)], []).rows.values()
    assert TOO_LONG in row.values


def test_a_clock_that_was_set_back_counts_nobody_twice() -> None:
    """The person stays in the minute of the last touch, and no sum is lost."""
    log = [(view(n, START), at) for n, at in enumerate((START, START + MINUTE, START))]
    rows = [row for row in fold_cut(log, []).rows.values() if row.grain == "minute"]
    assert [(row.touches[0], row.people[0]) for row in rows] == [(1, 1), (2, 1)]
    others = [
        (view(n, START, user), at)
        for n, (user, (_, at)) in enumerate(zip("abc", log, strict=False))
    ]
    rows = [row for row in fold_cut(others, []).rows.values() if row.grain == "minute"]
    first = START // MINUTE * MINUTE
    assert [(row.start - first, row.touches[0]) for row in rows] == [(0, 1), (MINUTE, 1), (0, 1)]


@given(minutes=st.lists(st.integers(0, 3), min_size=1, max_size=40), data=st.data())
def test_a_clock_that_goes_to_and_fro_writes_two_rows_a_touch_at_most(
    minutes: list[int], data: st.DataObject
) -> None:
    """Who is in a later minute already and who is not take turns: each with a block at worst."""
    log = [
        (view(n, START, f"u{n % 3}"), START + minute * MINUTE) for n, minute in enumerate(minutes)
    ]
    folded = fold_cut(log, data.draw(cuts(len(log))))
    rows = folded.rows.values()
    assert len(rows) <= 2 * len(log)
    for grain in ("minute", "day"):
        assert sum(row.touches[0] for row in rows if row.grain == grain) == len(log)


@pytest.mark.parametrize("kind", ["attribute_set", "action_reported"])
def test_what_systems_write_and_history_are_no_touches(kind: str) -> None:
    """They leave no row; but a person whose history was imported is not new."""
    payload = {"name": "city", "value": "x", "action_id": "a", "outcome": "read", "detail": ""}
    written = Touchpoint("w", "ann", START, kind, payload)
    imported = view(1, START - 400 * DAY, backfill=True)
    assert fold_cut([(written, START), (imported, START)], []).rows == {}
    log = [(written, START), (imported, START), (view(2, START), START)]
    new = [row.new_people[0] for row in fold_cut(log, []).rows.values()]
    assert new == [0, 0]
    assert [r.new_people[0] for r in fold_cut([log[0], log[2]], []).rows.values()] == [1, 1]


def test_another_currency_begins_another_block() -> None:
    """Sums of two currencies never meet."""
    partition = Partition(PLAYBOOK, {})
    (first, *_) = partition.apply([(view(1, START), START)]).aggregates.values()
    block = decode_block(encode_block(partition.aggregates.block))  # as a restarted worker has it
    again = aggregates.Aggregates(block, "CNY")
    assert (first.currency, first.block) == ("USD", 0)
    assert (again.block.currency, again.block.first) == ("CNY", 1)
