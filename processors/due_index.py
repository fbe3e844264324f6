"""Who is due next: a heap of due times, one live entry for each person."""

from heapq import heapify, heappop, heappush
from typing import Protocol

_SLACK = 1024


class DueTimes(Protocol):
    """The earliest time at which each person may have a timer due: never later than it is."""

    def __len__(self) -> int:
        """Return how many people wait."""

    def enter(self, user_id: str, due: int) -> None:
        """Make sure that the person comes up at ``due`` or earlier."""

    def entered(self, user_id: str) -> int | None:
        """Return when the person comes up; None for one who waits for nothing."""

    def may_be_due(self, user_id: str, now: int) -> bool:
        """Tell whether the person may have a timer due at ``now``."""

    def pop(self, now: int) -> tuple[int, str] | None:
        """Take out the first entry at ``now`` or earlier; ties in time go by user id."""


class DueIndex:
    """The earliest time at which each person may have a timer due.

    A timer that moves to a later time leaves its entry where it is: the entry comes up early, the
    owner looks and enters the true time. So an order, which only puts recency off, costs nothing.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._entered: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entered)

    def enter(self, user_id: str, due: int) -> None:
        """Make sure that the person comes up at ``due`` or earlier."""
        entered = self._entered.get(user_id)
        if entered is not None and entered <= due:
            return
        self._entered[user_id] = due
        heappush(self._heap, (due, user_id))
        if len(self._heap) > 2 * len(self._entered) + _SLACK:
            self._heap = [(at, user) for user, at in self._entered.items()]
            heapify(self._heap)

    def entered(self, user_id: str) -> int | None:
        """Return when the person comes up; None for one who waits for nothing."""
        return self._entered.get(user_id)

    def may_be_due(self, user_id: str, now: int) -> bool:
        """Tell whether the person may have a timer due at ``now``."""
        entered = self._entered.get(user_id)
        return entered is not None and entered <= now

    def pop(self, now: int) -> tuple[int, str] | None:
        """Take out the first entry at ``now`` or earlier; ties in time go by user id."""
        heap, entered = self._heap, self._entered
        while heap and heap[0][0] <= now:
            entry = due, user_id = heappop(heap)
            if entered.get(user_id) == due:
                del entered[user_id]
                return entry
        return None
