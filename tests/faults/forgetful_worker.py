"""A real worker that believes to be done with more than the broker keeps: run as a process.

Its transactions leave the offset out, as if the broker had dropped it after the answer; all else is
durable. Arguments: the settings as JSON, and for how many seconds it may stand still.
"""

import sys
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from streams import liveness
from streams.app import build_app
from streams.settings import Settings


async def forget(_producer: AIOKafkaProducer, *_offsets: Any) -> None:
    """Say that the offsets are part of the transaction."""


if __name__ == "__main__":
    AIOKafkaProducer.send_offsets_to_transaction = forget
    liveness.STALLED_AFTER = float(sys.argv[2])
    app = build_app(Settings.model_validate_json(sys.argv[1]))
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
