"""The worker's one loop: decode -> fold -> effects -> profiles -> commit, a record batch at a time.

Read `BatchApplier.apply` aloud: it is the order of effects that the guarantees rest on.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from processors.partition import Effects
from schemas.codec import Codec
from schemas.records import DeadLetter, Touchpoint
from schemas.wire import DecodeError
from streams.ceiling import watch
from streams.decode import decode_record
from streams.delivery import Delivery
from streams.faust_fetching import Batch, Reach
from streams.metrics import WorkerMetrics
from streams.outbox import Row
from streams.rows import BROKER_TIME, Ledger, to_rows
from streams.settings import Settings
from streams.table import Shard

TIMERS_AT_ONCE = 2_000
"""People whose timers fire in one batch, besides those whom its records are of."""


class BatchApplier:
    """Applies record batches to the shards of this worker, for each shard one at a time.

    When `apply` returns, everything that the batch caused is durable and its offset committed, by
    the promise of the delivery. Nothing is ever skipped: after the first failure this object
    refuses every further batch, so that no later offset can be committed over a lost one.
    """

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        delivery: Delivery,
        metrics: WorkerMetrics,
    ) -> None:
        self.shards: dict[int, Shard] = {}
        self.failure: BaseException | None = None
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._open = False
        self._settings = settings
        self._codec = codec
        self._delivery = delivery
        self._metrics = metrics

    async def apply(self, partition: int, records: Batch) -> None:
        """Apply the records of one partition, which are in the order of their offsets.

        Raises:
            aiokafka.errors.KafkaError: the broker did not take what the batch caused.
            streams.ceiling.TooManyDeadLetters: most records are bad.
            streams.faust_fetching.GapError: a batch before this one has gone astray.
            RuntimeError: an earlier batch has failed.
        """
        async with self._turn(partition):
            shard = self.shards.get(partition)
            if shard is None or not self._open:
                return  # the partition was given back while the batch was queued: read it again
            records.require_after(shard.ledger.offset)
            with self._metrics.batch(len(records)) as committed:
                touchpoints, sources, dead = self._decode(shard, records)
                fired = await self._fire_others(partition, shard, touchpoints)
                if fired is None:
                    return
                effects = shard.partition.apply(
                    touchpoints, counted=_counted(shard, sources), after=fired
                )
                for index, reason, detail in effects.rejected:
                    dead.append(_bury(sources[index], reason, detail))
                effects.progress |= {each.key: each for each in shard.newly_followed()}
                await self._deliver(
                    partition, shard, effects, dead, self._ledger(shard, records, dead)
                )
                committed()

    async def _fire_others(
        self, partition: int, shard: Shard, touchpoints: Sequence[tuple[Touchpoint, int]]
    ) -> Effects | None:
        """Fire who is due by the end of the batch and not in it; return the last part's effects.

        Where very many are, each other part is delivered by itself, and the loop has its turn. If
        the partition is given back meanwhile, None: its next owner goes on with those who are left.
        """
        until = max([shard.partition.clock, *(at for _, at in touchpoints)])
        while self._open:
            fired = shard.partition.fire_others(touchpoints, TIMERS_AT_ONCE)
            if len(fired.changed) < TIMERS_AT_ONCE:
                return fired
            ledger = replace(shard.ledger, firing=until)
            await self._deliver(partition, shard, fired, [], ledger)
        return None

    async def advance(self, now: int, reach: Mapping[int, Reach]) -> None:
        """Let the clocks of partitions without a backlog go on to ``now``, and fire what is due.

        Args:
            now: wall clock in milliseconds, read before the broker was asked for ``reach``: what
                comes after its end was appended later than ``now``, so no reply can be missed.
            reach: how far each partition goes and was read.
        """
        for partition in list(self.shards):
            while await self._fire(partition, now, reach):
                pass

    async def _fire(self, partition: int, now: int, reach: Mapping[int, Reach]) -> bool:
        """Fire some of what is due in a partition; tell whether there may be more."""
        async with self._turn(partition):
            shard = self.shards.get(partition)
            if shard is None or partition not in reach or not self._open:
                return False
            behind = reach[partition].behind(shard.ledger.offset + 1)
            if behind or not shard.ledger.broker_time:
                return False
            effects = shard.partition.advance(now, TIMERS_AT_ONCE)
            left, clock = len(effects.changed) >= TIMERS_AT_ONCE, shard.partition.clock
            if effects.changed:
                ledger = replace(shard.ledger, clock=clock, firing=clock if left else 0)
                await self._deliver(partition, shard, effects, [], ledger)
            return left

    async def give_back(self) -> None:
        """Finish the batches in flight, and begin nothing more: the partitions are given back."""
        self._open = False
        for lock in list(self._locks.values()):
            async with lock:
                pass

    def take_over(self, shards: dict[int, Shard]) -> None:
        """Go on with these shards, whose state is restored."""
        self.shards = shards
        self._open = True

    @asynccontextmanager
    async def _turn(self, partition: int) -> AsyncIterator[None]:
        async with self._locks[partition]:
            if self.failure is not None:
                raise RuntimeError("an earlier batch failed; restart the worker") from self.failure
            try:
                yield
            except BaseException as error:
                self.failure = error
                raise

    def _decode(
        self, shard: Shard, records: Sequence[Any]
    ) -> tuple[list[tuple[Touchpoint, int]], list[Any], list[DeadLetter]]:
        touchpoints: list[tuple[Touchpoint, int]] = []
        sources: list[Any] = []
        dead: list[DeadLetter] = []
        for record in records:
            if record.offset <= shard.ledger.offset:
                continue
            try:
                touchpoint = decode_record(self._codec, record.key, record.value)
            except DecodeError as error:
                dead.append(_bury(record, error.reason, error.detail))
                continue
            if shard.ahead and shard.knows(touchpoint.user_id, record.offset):
                continue
            touchpoints.append((touchpoint, record.timestamp))
            sources.append(record)
        return touchpoints, sources, dead

    def _ledger(self, shard: Shard, records: Sequence[Any], dead: list[DeadLetter]) -> Ledger:
        """Return the account after this batch; raise if too many records are dead letters."""
        before, last, counts = shard.ledger, records[-1], shard.partition.counts
        new = [record.offset for record in records if record.offset > before.offset]
        offset = max(last.offset, before.offset)
        ceiling = self._settings.dead_letter_ceiling
        why = {letter.offset: f"{letter.reason} ({letter.detail})" for letter in dead}
        return Ledger(
            offset=offset,
            dead=before.dead + len(dead),
            clock=shard.partition.clock,
            broker_time=last.timestamp_type == BROKER_TIME,
            counted=shard.counted,
            poison=watch(before.poison, new, why, ceiling),
            duplicates=counts.duplicates,
            late=counts.late,
            holes=before.holes + offset - before.offset - len(new),
            followed=shard.followed(),
            people=counts.people,
            lineage=before.lineage,
            tenures=before.tenures,
        )

    async def _deliver(
        self, partition: int, shard: Shard, effects: Effects, dead: list[DeadLetter], ledger: Ledger
    ) -> None:
        block = shard.partition.aggregates.block if effects.aggregates else None
        rows = list(to_rows(effects.changed, ledger, shard.partition, block))
        announcements = self._announcements(effects, dead)
        end = await self._delivery.deliver(partition, announcements, rows, ledger.offset + 1)
        shard.settle(ledger, rows, end)
        self._metrics.applied(effects, dead)

    def _announcements(self, effects: Effects, dead: list[DeadLetter]) -> dict[str, list[Row]]:
        codec = self._codec
        rows: dict[str, list[Row]] = {
            "facts": [(f.user_id.encode(), codec.encode_fact(f)) for f in effects.facts],
            "dead-letters": [(d.key, codec.encode_dead_letter(d)) for d in dead],
            "aggregates": [
                (key.encode(), codec.encode_aggregate(row))
                for key, row in effects.aggregates.items()
            ],
            "funnel-progress": [
                (key.encode(), codec.encode_progress(row)) for key, row in effects.progress.items()
            ],
        }
        for action in effects.actions:
            rows.setdefault(f"actions.{action.family}", []).append(
                (action.user_id.encode(), codec.encode_action(action))
            )
        return {self._settings.topic(name): sent for name, sent in rows.items() if sent}


def _counted(shard: Shard, sources: Sequence[Any]) -> int:
    """Return how many of the records the live aggregates had counted before a crash."""
    if shard.counted_to <= shard.ledger.offset:
        return 0
    return sum(record.offset <= shard.counted_to for record in sources)


def _bury(record: Any, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        reason,
        detail,
        record.key,
        record.value,
    )
