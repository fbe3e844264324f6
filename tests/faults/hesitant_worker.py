"""A real worker that hesitates where Faust loses events: run by the tests as a process.

After the seek of a recovery it pauses, and until the recovery is complete its agent does nothing:
whatever the fetcher hands out in between lies in the agent's queue when the flow is opened, which
clears that queue. Argument: the settings as JSON.
"""

import asyncio
import sys
from typing import Any

import faust

from streams.app import build_app
from streams.apply import BatchApplier
from streams.faust_fetching import Batch
from streams.faust_transport import Consumer
from streams.settings import Settings

PAUSE = 1.5
"""Seconds after the seek: ample for a fetch, if a partition is fetched already."""


def become_hesitant(app: Any) -> None:
    """Pause after each seek, and apply nothing before the recovery is complete."""
    seek, apply = Consumer.perform_seek, BatchApplier.apply

    async def seek_and_pause(consumer: Consumer) -> None:
        await seek(consumer)
        await asyncio.sleep(PAUSE)

    async def apply_late(applier: BatchApplier, partition: int, records: Batch) -> None:
        await app.tables.recovery.completed.wait()
        await apply(applier, partition, records)

    Consumer.perform_seek = seek_and_pause
    BatchApplier.apply = apply_late  # type: ignore[method-assign]


if __name__ == "__main__":
    app = build_app(Settings.model_validate_json(sys.argv[1]))
    become_hesitant(app)
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
