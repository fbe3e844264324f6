"""Recovery in place of Faust's: restore the shards, seek, open the flow, and only then fetch.

Faust 0.15.3 resumes its partitions first and clears the queues that they are already filling
(its issue 596), replays a changelog message by message, and goes on after an error. Here the
order is fixed, the changelog is read in batches, and an error ends the process. Restoring is given
up before the partitions are: it would go on to take them from whoever has them next.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from faust.tables.manager import TableManager
from faust.types import TP
from mode import Service

Restore = Callable[[set[TP]], Coroutine[Any, Any, dict[TP, int]]]
NONE = -1
"""The generation of an assignment that is not there, or not any more."""


class Recovery(Service):  # type: ignore[misc]
    """Brings the state up after each rebalance; the interface is that of Faust's ``Recovery``."""

    def __init__(self, app: Any, restore: Restore, **kwargs: Any) -> None:
        self.app = app
        self._restore = restore
        self._rebalanced = asyncio.Event()
        self._generation = NONE
        self._restoring: asyncio.Task[dict[TP, int]] | None = None
        self.completed = asyncio.Event()
        super().__init__(**kwargs)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop counting as recovered until the next assignment is restored."""
        self.completed.clear()
        self._rebalanced.clear()
        self._generation = NONE

    async def abandon(self) -> None:
        """Give up what is being restored; return when nothing of it goes on."""
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait([self._restoring])

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Note the new generation; the restoring is done outside the rebalance's callback."""
        self.completed.clear()
        self._generation = generation_id
        self._rebalanced.set()

    @Service.task  # type: ignore[untyped-decorator]
    async def _recover(self) -> None:
        while not self.should_stop:
            await self.wait_first(self._rebalanced.wait())
            if self.should_stop:
                return
            if not self._rebalanced.is_set():
                continue  # the partitions were given back at once
            self._rebalanced.clear()
            try:
                await self._bring_up(self._generation)
            except Exception as error:  # noqa: BLE001 - whatever it is, do not serve partial state
                await self.app.die(error)
                return

    async def _bring_up(self, generation: int) -> None:
        app, consumer = self.app, self.app.consumer
        assignment = consumer.assignment()
        self._restoring = asyncio.create_task(self._restore(assignment))
        try:
            await asyncio.wait([self._restoring])
        finally:
            await self.abandon()
        if generation != self._generation:
            return  # the partitions were given back meanwhile
        starts = self._restoring.result()
        if assignment:
            await consumer.perform_seek()
        for tp, offset in starts.items():
            await consumer.seek(tp, offset)
        await app.on_rebalance_complete.send()
        app.flow_control.resume()
        consumer.resume_flow()
        consumer.resume_partitions(assignment)
        await app._fetcher.maybe_start()  # noqa: SLF001 - Faust's recovery does the same
        app.tables.on_actives_ready()
        app.tables.on_standbys_ready()
        app.on_rebalance_end()
        self.completed.set()


class Tables(TableManager):  # type: ignore[misc]
    """Faust's table manager with our recovery; the app has no Faust tables."""

    _recovery: Recovery | None = None

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made on first use as in Faust."""
        if self._recovery is None:
            self._recovery = Recovery(
                self.app, self.app.hooks.restore, beacon=self.beacon, loop=self.loop
            )
        return self._recovery
