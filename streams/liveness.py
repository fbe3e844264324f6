"""Who moves and who does not, judged by the broker: committed offsets against the log's ends.

What a worker or a sink believes to be done may not be: a batch may get lost on its way, a
transaction may hang, a broker may drop a commit that it has acknowledged. What counts is the offset
that the broker gives to whoever asks, because whoever takes over goes on from there.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from faust.types import TP

from streams.faust_fetching import Reach

STALLED_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition as it was when it was looked at last."""

    done: int
    parts: int
    behind: int
    since: float


class Liveness:
    """Remembers since when each partition of this process has been where it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[TP, int] = {}
        self._places: dict[TP, _Place] = {}

    def take_over(self, begun: Mapping[TP, int]) -> None:
        """Begin with these partitions, each at the offset that is read first.

        What lies before it was durable by then. On a broker without transactions its commit may
        have been lost in a crash, and nobody repeats it before more records come.
        """
        self._begun = dict(begun)
        self._places = {}

    def look(
        self,
        reach: Mapping[TP, Reach],
        committed: Mapping[TP, int],
        *,
        parts: Mapping[TP, int] | None = None,
        excused: Collection[str] = (),
    ) -> dict[TP, int]:
        """Return how many records wait in each partition; note where the group stands.

        Args:
            reach: How far each partition goes and was read.
            committed: The group's offsets, as the broker gives them, of the same partitions.
            parts: How much was durable of each partition that moves no offset: it counts, too.
            excused: Topics of which nothing can move now, whatever this process does.
        """
        now, before = self._clock(), self._places
        self._places = {}
        for tp, each in reach.items():
            done, part = max(committed[tp], self._begun.get(tp, 0)), (parts or {}).get(tp, 0)
            behind, last = each.behind(done), before.get(tp)
            stays = last is not None and last.behind and (last.done, last.parts) == (done, part)
            since = last.since if last and stays and tp.topic not in excused else now
            self._places[tp] = _Place(done, part, behind, since)
        return {tp: place.behind for tp, place in self._places.items()}

    def problem(self) -> str:
        """Name a partition that has records waiting and has not moved for a minute, if any."""
        now = self._clock()
        for tp, place in self._places.items():
            if place.behind and now - place.since > STALLED_AFTER:
                return (
                    f"stalled: the committed offset of {tp.topic}/{tp.partition} stays at "
                    f"{place.done}, {place.behind} records behind, for {now - place.since:.0f} s"
                )
        return ""
