"""Whether a sink moves, judged by the broker as a worker is (`streams.liveness`), by topic."""

import time
from collections.abc import Callable
from typing import Any

from streams.liveness import Liveness


class SinkLiveness:
    """Remembers since when each partition of each topic has been where it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._topics: dict[str, Liveness] = {}

    def excuse(self) -> None:
        """Begin anew: so far nothing could move, for ClickHouse was away."""
        self._topics = {}

    async def look(self, consumer: Any) -> None:
        """Note where the group stands in all that this sink is assigned.

        Args:
            consumer: The app's (`streams.faust_transport.Consumer`).

        Raises:
            aiokafka.errors.KafkaError: the broker did not answer.
        """
        reach = await consumer.reach(consumer.assignment())
        committed = await consumer.committed(set(reach))
        known, self._topics = self._topics, {}
        for topic in {tp.topic for tp in reach}:
            tps = {tp.partition: tp for tp in reach if tp.topic == topic}
            liveness = self._topics[topic] = known.get(topic) or Liveness(self._clock)
            liveness.look(
                {number: reach[tp] for number, tp in tps.items()},
                {number: committed[tp] for number, tp in tps.items()},
            )

    def problem(self) -> str:
        """Name a partition that has records waiting and has not moved for a minute, if any."""
        for topic, liveness in self._topics.items():
            if said := liveness.problem():
                return f"{topic}: {said}"
        return ""
