"""A real worker that would never end: what it stops at last does not answer. Run as a process.

Arguments: the settings as JSON, and for how many seconds it may try to stop.
"""

import asyncio
import sys
from dataclasses import replace

from streams.app import build_app
from streams.cli import run
from streams.settings import Settings


async def linger() -> None:
    """Wait for an answer that does not come."""
    await asyncio.Event().wait()


if __name__ == "__main__":
    run.STOP_SECONDS = float(sys.argv[2])
    app = build_app(Settings.model_validate_json(sys.argv[1]))
    app.hooks = replace(app.hooks, stop=linger)
    run._run(app, "info", "worker that lingers")
