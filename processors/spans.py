"""Of which periods a day's attempt is the person's best: its *span*.

A span is the last earlier day whose attempt came farther, and the next later day whose attempt
came as far. Of a person's days in a period exactly one has both outside of it: the farthest, of
those the latest. So whoever asks about a period reads rows and compares none.
"""

from schemas.rules import END_OF_TIME

Ordered = tuple[tuple[int, tuple[int, ...]], ...]
"""Days of entry in order, each with the times of its attempt's steps."""
Span = tuple[int, int]
ALWAYS: Span = (-1, END_OF_TIME)
"""No day before came farther, and none behind as far."""


def spans_of(days: Ordered) -> dict[int, Span]:
    """Return of each day the last one before that came farther, and the next that came as far."""
    spans: dict[int, Span] = {}
    held: list[tuple[int, int]] = []  # days that no later one came as far as, farthest first
    for day, times in days:
        reached = len(times)
        while held and held[-1][1] <= reached:
            before, _ = held.pop()
            spans[before] = (spans[before][0], day)
        spans[day] = (held[-1][0] if held else -1, END_OF_TIME)
        held.append((day, reached))
    return spans


def standing(days: Ordered) -> Ordered:
    """Return the days that no later one came as far as: only they still matter to later days."""
    kept: list[tuple[int, tuple[int, ...]]] = []
    farthest = 0
    for each in reversed(days):
        if len(each[1]) > farthest:
            kept.append(each)
            farthest = len(each[1])
    return tuple(reversed(kept))


def last_farther(days: Ordered) -> int:
    """Return the last day that came farther than an entry."""
    for day, times in reversed(days):
        if len(times) > 1:
            return day
    return -1
