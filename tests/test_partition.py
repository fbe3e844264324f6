"""A partition is the same machine however its log is cut, kept and split."""

from collections import Counter
from functools import partial
from sys import maxsize
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from playbook_yaml import brisk
from strategies import HOUR, START, THOROUGH, Log, cuts, logs

from processors.due_index import DueIndex
from processors.partition import Effects, Partition
from processors.timers import next_due
from schemas.profile import Profile, decode, dump, encode
from schemas.records import Action, Fact, Touchpoint

PLAYBOOK = brisk()
LATENESS = 7 * 24 * HOUR


def joined(effects: list[Effects]) -> tuple[list[Fact], list[Action]]:
    """Return the facts and actions of several effects, in order."""
    facts = [fact for each in effects for fact in each.facts]
    return facts, [action for each in effects for action in each.actions]


def by_person(facts: list[Fact]) -> dict[str, list[Fact]]:
    """Return each person's facts, in order."""
    return {user: [f for f in facts if f.user_id == user] for user in {f.user_id for f in facts}}


def run(log: Log, now: int) -> tuple[list[str], dict[str, list[Fact]], dict[str, Action]]:
    """Apply the log as one batch; return the dump, each person's facts, and actions by id."""
    partition = Partition(PLAYBOOK, {})
    facts, actions = joined([partition.apply(log), partition.advance(now)])
    assert len({action.action_id for action in actions}) == len(actions)
    return list(dump(partition.profiles)), by_person(facts), {a.action_id: a for a in actions}


@THOROUGH
@given(log=logs(), data=st.data())
def test_any_cut_into_batches_gives_the_same(log: Log, data: st.DataObject) -> None:
    """Batches, moves of the clock, restarts, and timers left for later change nothing."""
    now = log[-1][1] + 500 * HOUR
    partition = Partition(PLAYBOOK, {})
    effects, start = [], 0
    most = data.draw(st.integers(1, 3) | st.just(maxsize))
    for stop in [*data.draw(cuts(len(log))), len(log)]:
        fired = None
        if data.draw(st.booleans()):
            # Some of it and then a crash: the batch that comes may be a shorter one.
            end = data.draw(st.integers(stop, len(log)))
            fired = partition.fire_others(log[start:end], most)
            assert len(fired.changed) <= most
        effects.append(partition.apply(log[start:stop], after=fired))
        following = log[stop][1] if stop < len(log) else now
        idle = data.draw(st.integers(partition.clock, max(partition.clock, following)))
        effects.append(partition.advance(idle if partition.clock else 0, most))
        kept = {user: decode(encode(profile)) for user, profile in partition.profiles.items()}
        counts, clock = partition.counts, partition.clock
        if data.draw(st.booleans()):
            partition = Partition(PLAYBOOK, kept)
            partition.clock = clock
            assert partition.counts == counts
        start = stop
    effects.append(partition.advance(now))
    facts, actions = joined(effects)
    by_id = {action.action_id: action for action in actions}
    assert len(by_id) == len(actions)
    assert (list(dump(partition.profiles)), by_person(facts), by_id) == run(log, now)


@THOROUGH
@given(log=logs(), count=st.integers(2, 4))
def test_any_number_of_partitions_gives_the_same(log: Log, count: int) -> None:
    """People spread over partitions come out as from a single one, byte for byte."""
    now = log[-1][1] + 500 * HOUR
    profiles: dict[str, Profile] = {}
    effects = []
    for number in range(count):
        partition = Partition(PLAYBOOK, {})
        mine = [each for each in log if crc32(each[0].user_id.encode()) % count == number]
        effects += [partition.apply(mine), partition.advance(now)]
        profiles |= partition.profiles
    facts, actions = joined(effects)
    by_id = {action.action_id: action for action in actions}
    assert (list(dump(profiles)), by_person(facts), by_id) == run(log, now)


@THOROUGH
@given(log=logs())
def test_the_accounts_add_up(log: Log) -> None:
    """Each record is applied, a duplicate, late or rejected, as a plain reading of the log says."""
    want: Counter[str] = Counter()
    seen = set()
    for touchpoint, at in log:
        if (touchpoint.user_id, touchpoint.event_id) in seen:
            want["duplicates"] += 1
        elif at - touchpoint.occurred_at > LATENESS and not touchpoint.backfill:
            want["late"] += 1
        elif touchpoint.payload.get("currency", "USD") != "USD":
            want["rejected"] += 1
        else:
            seen.add((touchpoint.user_id, touchpoint.event_id))
            want["applied"] += 1
    partition = Partition(PLAYBOOK, {})
    effects = partition.apply(log)
    counts = partition.counts
    got = {"applied": counts.applied, "duplicates": counts.duplicates, "late": counts.late}
    assert Counter(got | {"rejected": len(effects.rejected)}) == want
    assert sum(p.applied for p in partition.profiles.values()) == counts.applied


def test_a_date_that_many_wait_for_is_many_batches() -> None:
    """No more people than asked for change at once, and in the end everybody has."""
    joined_now = [Touchpoint(f"e{n}", f"u{n:02}", START, "group_joined", {}) for n in range(25)]
    partition = Partition(PLAYBOOK, {})
    partition.apply([(each, START) for each in joined_now])
    moves = [partition.advance(START + 500 * HOUR, 10) for _ in range(4)]
    assert [len(each.changed) for each in moves] == [10, 10, 5, 0]
    whole = Partition(PLAYBOOK, {})
    whole.apply([(each, START) for each in joined_now])
    assert joined(moves) == joined([whole.advance(START + 500 * HOUR)])


def test_a_batch_that_moves_no_clock_fires_no_more_at_once() -> None:
    """Dead letters only, or older times, while the clock fires a date in parts: it stays in parts.

    Whoever is in the batch fires with it, and the clock has nobody left.
    """
    joined_now = [Touchpoint(f"e{n}", f"u{n:02}", START, "group_joined", {}) for n in range(25)]
    again = [(Touchpoint("e", "u24", START, "group_joined", {}), START)]
    for batch, last in (([], 5), (again, 4)):
        partition = Partition(PLAYBOOK, {})
        partition.apply([(each, START) for each in joined_now])
        partition.advance(START + 500 * HOUR, 10)
        parts = [partition.fire_others(batch, 10) for _ in range(2)]
        assert [len(each.changed) for each in parts] == [10, last]
        assert len(partition.apply(batch, after=parts[-1]).changed) == 5
        assert partition.advance(START + 500 * HOUR).changed == {}


@THOROUGH
@given(log=logs())
def test_timers_fire_when_due_never_before(log: Log) -> None:
    """No action goes out before the stream clock reaches its due time, and none is left behind."""
    partition = Partition(PLAYBOOK, {})
    last = log[-1][1]
    moves = [partition.apply([record]) for record in log[:-1]]
    for effects, (_, at) in zip(moves, log, strict=False):
        assert all(action.due_at <= at for action in effects.actions)
        assert all(fact.at <= at for fact in effects.facts)
    partition.apply(log[-1:])
    for now in range(last, last + 200 * HOUR, 7 * HOUR):
        effects = partition.advance(now)
        assert all(now - 7 * HOUR < action.due_at <= now for action in effects.actions)
        waiting = (next_due(profile, PLAYBOOK) for profile in partition.profiles.values())
        assert all(due is None or due > now for due in waiting)


@THOROUGH
@given(log=logs())
def test_changed_holds_exactly_the_profiles_that_differ(log: Log) -> None:
    """What goes to the changelog is each profile that is no longer what it was, as it is now."""
    partition = Partition(PLAYBOOK, {})
    middle = len(log) // 2
    partition.apply(log[:middle])
    before = {user: encode(profile) for user, profile in partition.profiles.items()}
    effects = partition.apply(log[middle:])
    after = {user: encode(profile) for user, profile in partition.profiles.items()}
    differing = {user for user, data in after.items() if before.get(user) != data}
    assert differing == effects.changed.keys()
    assert all(partition.profiles[user] is effects.changed[user] for user in differing)


def test_the_clock_never_goes_back() -> None:
    """An older time leaves the stream clock where it is."""
    partition = Partition(PLAYBOOK, {})
    partition.advance(1000)
    partition.advance(10)
    assert partition.clock == 1000


def test_a_timer_that_moves_to_an_earlier_time_is_not_missed() -> None:
    """A person who waits for a later timer is served when an earlier one comes up."""
    partition = Partition(PLAYBOOK, {})
    joining = Touchpoint("e1", "ann", START, "group_joined", {"way": ""})
    money = {"order_id": "o", "amount_minor": 100, "currency": "USD"}
    buying = Touchpoint("e2", "ann", START + HOUR, "order_paid", money)
    assert partition.apply([(joining, START)]).actions == []
    effects = partition.apply([(buying, START + HOUR)])
    assert [action.step for action in effects.actions] == ["thanks"]
    effects = partition.advance(START + 31 * HOUR)
    assert [action.step for action in effects.actions] == ["guide", "reminder"]


@THOROUGH
@given(
    moves=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 30)) | st.integers(0, 30), max_size=60
    )
)
def test_nobody_comes_up_later_than_entered(moves: list[tuple[str, int] | int]) -> None:
    """The index gives up everybody at the earliest time entered for them, in order of time."""
    index = DueIndex()
    earliest: dict[str, int] = {}
    for move in moves:
        if isinstance(move, tuple):
            user_id, due = move
            index.enter(user_id, due)
            earliest[user_id] = min(due, earliest.get(user_id, due))
        else:
            want = sorted((due, user_id) for user_id, due in earliest.items() if due <= move)
            assert list(iter(partial(index.pop, move), None)) == want
            earliest = {user_id: due for user_id, due in earliest.items() if due > move}
        assert len(index) == len(earliest)


def test_the_index_of_due_times_is_bounded() -> None:
    """Entries that no longer hold are thrown out before they outgrow the people."""
    index = DueIndex()
    for due in range(100_000, 0, -1):
        index.enter("ann", due)
    assert len(index._heap) < 2_000
    assert index.pop(1) == (1, "ann")
    assert index.pop(100_000) is None
