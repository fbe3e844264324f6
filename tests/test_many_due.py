"""Very many people due at once: worked off in parts, in bounded memory, to the same end."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.profile import Profile, dump
from schemas.records import Touchpoint
from streams import apply
from streams.apply import BatchApplier
from streams.clock import add_clock
from streams.faust_fetching import Batch, Reach
from streams.liveness import STALLED_AFTER, Liveness
from streams.metrics import WorkerMetrics
from streams.outbox import Row
from streams.rows import Ledger
from streams.settings import Settings
from streams.table import Shard

PLAYBOOK = compile_playbook(find_playbook("second-purchase"))
DAY = 86_400_000
START = 1_700_000_000_000
PEOPLE, PART = 1_000, 70


def order(user: int, lap: int, at: int) -> Touchpoint:
    """Return an order of ten dollars."""
    paid = {"order_id": f"{user}-{lap}", "amount_minor": 1000, "currency": "USD"}
    return Touchpoint(f"{user}-{lap}", f"u{user}", at, "order_paid", paid)


def record(offset: int, touchpoint: Touchpoint, at: int) -> Any:
    """Return the record of a touchpoint, as aiokafka gives it."""
    return SimpleNamespace(
        offset=offset, key=touchpoint.user_id.encode(), value=Codec().encode_touchpoint(touchpoint),
        timestamp=at, timestamp_type=0,
    )  # fmt: skip


def test_a_date_that_very_many_wait_for_is_many_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records carry their own time, and a month later three people order: all others are due.

    No delivery has many more people than a part; together they have the actions, facts and
    profiles of the fold that does it all at once. Of the three who order nobody is reminded.
    """
    monkeypatch.setattr(apply, "TIMERS_AT_ONCE", PART)
    early = [(order(user, 0, START + user), START + user) for user in range(PEOPLE)]
    at = START + 30 * DAY
    late = [(order(user, 1, at), at) for user in (PEOPLE - 1, PEOPLE - 2, PEOPLE - 3)]
    late.append((order(0, 2, at + DAY), at + DAY))
    profiles: dict[str, Profile] = {}
    written: list[tuple[dict[str, list[Row]], list[Row], int]] = []

    class Memory:
        async def deliver(self, _partition: int, said: Any, state: list[Row], offset: int) -> int:
            written.append((said, state, offset))
            return len(state)

    async def work() -> list[str]:
        delivery: Any = Memory()
        applier = BatchApplier(Settings(), Codec(), delivery, WorkerMetrics())
        applier.take_over({0: Shard(Partition(PLAYBOOK, profiles), Ledger())})
        offset = 0
        for batch in (early, late):
            records = Batch()
            for each, time in batch:
                records.append(record(offset, each, time))
                offset += 1
            await applier.apply(0, records)
        return list(dump(profiles))

    at_once: dict[str, Profile] = {}
    whole = Partition(PLAYBOOK, at_once)
    effects = [whole.apply(early), whole.apply(late)]
    assert asyncio.run(work()) == list(dump(at_once))
    actions = [row for said, *_ in written for row in said.get("actions.message", ())]
    facts = [row for said, *_ in written for row in said.get("facts", ())]
    wanted_facts = [Codec().encode_fact(fact) for each in effects for fact in each.facts]
    wanted = [Codec().encode_action(action) for each in effects for action in each.actions]
    assert len(wanted) == PEOPLE - 3
    assert sorted(value for _, value in actions) == sorted(wanted)
    assert sorted(value for _, value in facts) == sorted(wanted_facts)
    first, *parts = written
    assert len(first[1]) >= PEOPLE
    assert len(parts) >= (PEOPLE - 3) // PART
    assert max(len(state) for _, state, _ in parts) <= PART + len(late) + 2
    assert {offset for *_, offset in parts[:-1]} == {PEOPLE}, "the batch is not done before its end"
    assert parts[-1][2] == PEOPLE + len(late)


def test_a_partition_that_is_given_back_is_left_after_the_part_in_hand() -> None:
    """Its batch is not applied: the next owner, and a fold of the log, fire those who are left."""
    at = START + 31 * DAY
    early = [(order(user, 0, START + user), START + user) for user in range(PEOPLE)]
    profiles: dict[str, Profile] = {}
    partition = Partition(PLAYBOOK, profiles)
    partition.apply(early)
    written: list[list[Row]] = []

    class Memory:
        async def deliver(self, _partition: int, _said: Any, state: list[Row], _at: int) -> int:
            written.append(state)
            given_back.append(asyncio.create_task(applier.give_back()))
            await asyncio.sleep(0)
            return len(state)

    async def work() -> None:
        records = Batch([record(PEOPLE, order(PEOPLE - 1, 1, at), at)])
        applier.take_over({0: Shard(partition, Ledger(offset=PEOPLE - 1))})
        await applier.apply(0, records)
        await asyncio.wait_for(given_back[0], 10)
        await applier.apply(0, records)

    given_back: list[asyncio.Task[None]] = []
    delivery: Any = Memory()
    applier = BatchApplier(Settings(), Codec(), delivery, WorkerMetrics())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "TIMERS_AT_ONCE", PART)
        asyncio.run(work())
    assert len(written) == 1
    assert applier.shards[0].ledger.offset == PEOPLE - 1
    partition.apply([(order(PEOPLE - 1, 1, at), at)])
    whole = Partition(PLAYBOOK, {})
    whole.apply(early)
    whole.apply([(order(PEOPLE - 1, 1, at), at)])
    assert list(dump(profiles)) == list(dump(whole.profiles))  # type: ignore[arg-type]


def test_a_worker_that_fires_a_date_in_parts_moves() -> None:
    """Each part counts, though no offset moves and the clock waits its turn; no part is a stall.

    What the batch given up at the end would have counted is not counted.
    """
    at, far = START + 31 * DAY, Reach(end=PEOPLE + 1, read=PEOPLE, position=PEOPLE + 1)
    partition = Partition(PLAYBOOK, {})
    partition.apply([(order(user, 0, START + user), START + user) for user in range(PEOPLE)])
    seconds, timers = SimpleNamespace(now=0.0), dict[str, Any]()
    liveness, metrics = Liveness(lambda: seconds.now), WorkerMetrics()

    class Memory:
        def __init__(self) -> None:
            self.asked, self.granted = asyncio.Semaphore(0), asyncio.Semaphore(0)

        async def deliver(self, _partition: int, _said: Any, state: list[Row], _at: int) -> int:
            self.asked.release()
            await self.granted.acquire()
            return len(state)

    class Group:
        async def partitions(self, _topic: str) -> int:
            return 1

        async def reach(self, tps: set[TP]) -> dict[TP, Reach]:
            return dict.fromkeys(tps, far)

        async def committed(self, tps: set[TP]) -> dict[TP, int]:
            return dict.fromkeys(tps, PEOPLE)

    async def after(more: float) -> str:
        seconds.now += more
        await timers["watch"]()
        return liveness.problem()

    async def work() -> None:
        delivery: Any = Memory()
        applier = BatchApplier(Settings(), Codec(), delivery, metrics)
        applier.take_over({0: Shard(partition, Ledger(offset=PEOPLE - 1))})
        recovery = SimpleNamespace(completed=SimpleNamespace(is_set=lambda: True))
        app: Any = SimpleNamespace(
            timer=lambda interval: lambda each: timers.setdefault(each.__name__, each),
            tables=SimpleNamespace(recovery=recovery),
            consumer=Group(),
        )
        collector: Any = SimpleNamespace(tick=bool)
        add_clock(app, Settings(), applier, metrics, liveness, collector)
        records = Batch([record(PEOPLE, order(PEOPLE - 1, 1, at), at)])
        batch = asyncio.create_task(applier.apply(0, records))
        await delivery.asked.acquire()
        clock = asyncio.create_task(timers["clock"]())
        assert await after(0) == ""
        for _ in range(3):
            assert await after(STALLED_AFTER - 1) == ""
            delivery.granted.release()
            await delivery.asked.acquire()
            assert await after(2) == ""
        assert "touchpoints/0 stays at 1000, 1 records behind" in await after(STALLED_AFTER + 1)
        back = asyncio.create_task(applier.give_back())
        await asyncio.sleep(0)
        delivery.granted.release()
        await asyncio.gather(batch, clock, back)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "TIMERS_AT_ONCE", PART)
        asyncio.run(work())
    assert metrics.registry.get_sample_value("touchline_batch_records_count") == 0
    assert metrics.registry.get_sample_value("touchline_batch_seconds_count") == 0
    assert metrics.busy_seconds > 0
