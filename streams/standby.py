"""Standby replicas: copies of other workers' profiles, level with their changelogs to a second.

A worker that takes over a partition of which it keeps a copy reads the tail of the changelog only.
The group's assignor says who keeps which (`streams.faust_assignor`). A copy is brought up once a
second in the way of a restart, so there is one way to read a changelog, with all its checks. It is
read by nobody and written by nobody else; an owner opens it as it opens its folder after a restart.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import closing

from aiokafka import TopicPartition

from streams.metrics import WorkerMetrics
from streams.restore import catch_up, changelog_reader
from streams.settings import Settings
from streams.stores import Stores

ROUND_SECONDS = 1.0
RETRY_SECONDS = 10.0
FETCH_BYTES = 1 << 20
"""At most so much of each copy is fetched ahead, or one record batch, if that is larger."""
_FAILED = "the copy of partition %d cannot be kept: %s: %s; it is tried again in %d s"
log = logging.getLogger(__name__)


class Standby:
    """Keeps copies in the background, each for itself, from one assignment to the next.

    A copy that cannot be kept stops nothing: not the worker's own partitions, nor other copies. A
    warning says why, its age grows, and it is tried again after `RETRY_SECONDS`.

    Args:
        settings: Of the worker.
        stores: Where the copies are.
        metrics: Is told how old each copy is.
    """

    def __init__(self, settings: Settings, stores: Stores, metrics: WorkerMetrics) -> None:
        self._settings = settings
        self._stores = stores
        self._metrics = metrics
        self._followed: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def keep_only(self, partitions: set[int]) -> None:
        """Let go of all copies but these; return when nothing here uses the others.

        Raises:
            StoreError: another process uses the folder of this worker.
        """
        self._followed = set(partitions) if self._settings.standbys else set()
        if self._followed:
            self._stores.keep_out_others()
        others = [
            task
            for partition, task in self._tasks.items()
            if partition not in self._followed or task.cancelling()
        ]
        for task in others:
            if not task.cancelling():
                task.cancel()
        if others:
            await asyncio.wait(others)

    def follow(self) -> None:
        """Keep copies of what `keep_only` was told; those that are kept already go on."""
        self._tasks = {each: task for each, task in self._tasks.items() if not task.done()}
        for partition in self._followed - self._tasks.keys():
            self._tasks[partition] = asyncio.create_task(self._keep(partition))

    async def _keep(self, partition: int) -> None:
        with self._metrics.standby(partition) as level:
            while partition in self._followed:
                try:
                    await self._keep_up(partition, level)
                except Exception as error:  # noqa: BLE001 - whatever it is, the owner goes on
                    self._metrics.standby_failures.inc()
                    log.warning(_FAILED, partition, type(error).__name__, error, RETRY_SECONDS)
                    if partition in self._followed:
                        await asyncio.sleep(RETRY_SECONDS)

    async def _keep_up(self, partition: int, level: Callable[[int], None]) -> None:
        """Keep a copy level until something fails; one that was filled in part begins anew."""
        settings = self._settings
        tp = TopicPartition(settings.topic("profiles-changelog"), partition)
        options = {"group_id": None, "max_partition_fetch_bytes": FETCH_BYTES}
        with closing(self._stores.new(partition)) as store:
            async with changelog_reader(settings, [tp], **options) as consumer:
                done = -1
                # Not for ever: Python 3.11's wait_for may lose a cancel.
                while partition in self._followed:
                    ends = await consumer.end_offsets([tp])
                    if ends[tp] != done:
                        await catch_up(consumer, settings, {tp: store}, ends)
                        done = ends[tp]
                    level(done)
                    await asyncio.sleep(ROUND_SECONDS)
