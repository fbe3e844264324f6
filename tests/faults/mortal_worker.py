"""A real worker that kills itself before or after a durable step: run by the tests as a process.

The steps are the calls that the delivery makes, and ``part``, the second of several record batches
of a changelog write: the first may hold no more than the block of the aggregates. What stands
around them here does nothing but count, and at the chosen pass send SIGKILL to its own process.
Arguments: the settings as JSON, then ``before`` or ``after``, the step, and at which pass.

With SIGUSR1 the process writes the stacks of all its threads to its log.
"""

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from streams import app as worker
from streams import delivery, outbox
from streams.outbox import Row, new_producer, send_rows
from streams.rows import Ledger, is_person
from streams.settings import Settings
from streams.table import Shard

PART_BYTES = 4_000


class Fate:
    """Knows at which step to die."""

    def __init__(self, when: str, step: str, number: str) -> None:
        self._moment = (when, step)
        self._left = int(number)

    def pass_by(self, when: str, step: str) -> None:
        """Die here if this is the moment."""
        if (when, step) == self._moment:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, step: str, work: Awaitable[Any]) -> Any:
        """Do a step, unless it is time to die before it or after it."""
        self.pass_by("before", step)
        done = await work
        self.pass_by("after", step)
        return done


def become_mortal(fate: Fate) -> None:
    """Put the fate around every durable step of this process."""
    left: dict[int, int] = {}  # by partition: record batches of a long changelog write to let pass

    async def send(
        producer: AIOKafkaProducer, topic: str, partition: int, rows: Iterable[Row]
    ) -> int:
        step = "changelog" if topic.endswith("profiles-changelog") else "announcements"
        rows = list(rows)
        if step == "changelog":
            profiles = sum(len(value) for key, value in rows if is_person(key or b""))
            left[partition] = 2 if profiles > 3 * PART_BYTES else 0
        sent: int = await fate.around(step, send_rows(producer, topic, partition, rows))
        return sent

    def producer_of(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
        producer = new_producer(settings, transactional_id)
        offsets, commit = producer.send_offsets_to_transaction, producer.commit_transaction
        producer.send_offsets_to_transaction = lambda *given: fate.around(
            "offsets", offsets(*given)
        )
        producer.commit_transaction = lambda: fate.around("commit", commit())
        send_batch = producer.send_batch

        async def send_part(batch: Any, topic: str, *, partition: int) -> Any:
            sent = await send_batch(batch, topic, partition=partition)
            if topic.endswith("profiles-changelog") and left[partition]:
                left[partition] -= 1
                if not left[partition]:
                    await asyncio.wait([sent])
                    fate.pass_by("after", "part")
            return sent

        producer.send_batch = send_part
        return producer

    class Ordered(delivery.OrderedDelivery):
        def __init__(self, settings: Settings, commit: Callable[..., Awaitable[bool]]) -> None:
            super().__init__(settings, lambda *given: fate.around("commit", commit(*given)))

    settle = Shard.settle

    def settle_mortally(shard: Shard, ledger: Ledger, rows: Any, end: int) -> None:
        fate.pass_by("before", "settle")
        settle(shard, ledger, rows, end)
        fate.pass_by("after", "settle")

    outbox.BATCH_BYTES = PART_BYTES
    delivery.send_rows = send
    delivery.new_producer = producer_of
    worker.OrderedDelivery = Ordered  # type: ignore[misc]
    Shard.settle = settle_mortally  # type: ignore[method-assign]


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if len(sys.argv) > 2:
        become_mortal(Fate(*sys.argv[2:]))
    app = worker.build_app(Settings.model_validate_json(sys.argv[1]))
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
