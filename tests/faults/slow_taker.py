"""A real worker that is slow to take its first partitions: run by the tests as a process.

It takes none before a file is there, unless the partitions are given back first. Arguments: the
settings as JSON, and the file.
"""

import asyncio
import sys
from pathlib import Path

import faust

from streams.app import build_app
from streams.delivery import TransactionalDelivery
from streams.settings import Settings


def become_slow(signal: Path) -> None:
    """Wait for the file before anything is taken."""
    take = TransactionalDelivery.take

    async def take_late(delivery: TransactionalDelivery, partitions: set[int]) -> None:
        while not signal.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(0.05)
        await take(delivery, partitions)

    TransactionalDelivery.take = take_late  # type: ignore[method-assign]


if __name__ == "__main__":
    app = build_app(Settings.model_validate_json(sys.argv[1]))
    become_slow(Path(sys.argv[2]))
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
