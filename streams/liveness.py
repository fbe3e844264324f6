"""Whether a worker moves, judged by the broker: its committed offsets against the log's ends.

What a worker believes to be done may not be: a batch may get lost on its way, a transaction may
hang, a broker may drop a commit that it has acknowledged. What counts is the offset that the broker
gives to whoever asks, because whoever takes over goes on from there.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.faust_fetching import Reach

STALLED_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition as it was when it was looked at last."""

    done: int
    behind: int
    since: float


class Liveness:
    """Remembers since when each partition of this worker has been where it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[int, int] = {}
        self._places: dict[int, _Place] = {}

    def take_over(self, begun: Mapping[int, int]) -> None:
        """Begin with these partitions, each at the offset that is read first.

        What lies before it was durable by then. On a broker without transactions its commit may
        have been lost in a crash, and nobody repeats it before more records come.
        """
        self._begun = dict(begun)
        self._places = {}

    def look(self, reach: Mapping[int, Reach], committed: Mapping[int, int]) -> dict[int, int]:
        """Return how many records wait in each partition; note where the group stands.

        Args:
            reach: How far each partition goes and was read.
            committed: The group's offsets, as the broker gives them, of the same partitions.
        """
        now, before = self._clock(), self._places
        self._places = {}
        for partition, each in reach.items():
            done = max(committed[partition], self._begun.get(partition, 0))
            behind, last = each.behind(done), before.get(partition)
            stays = last is not None and last.behind and last.done == done
            since = last.since if last is not None and stays else now
            self._places[partition] = _Place(done, behind, since)
        return {partition: place.behind for partition, place in self._places.items()}

    def problem(self) -> str:
        """Name a partition that has records waiting and has not moved for a minute, if any."""
        now = self._clock()
        for partition, place in self._places.items():
            if place.behind and now - place.since > STALLED_AFTER:
                return (
                    f"stalled: the committed offset of partition {partition} stays at "
                    f"{place.done}, {place.behind} records behind, for {now - place.since:.0f} s"
                )
        return ""
