"""Garbage collection in the clock's rhythm, so that what is kept is looked at once.

Python's own looks at all objects again whenever a quarter has been added: with a million profiles,
which are kept on purpose and have no cycles, for seconds, in the middle of a batch. Here the young
are looked at each second, and what survives is set apart (`gc.freeze`). What becomes a cycle of
garbage only after that waits for the whole collection, once a day. Under load, and of partitions
that are given back, there is none: reference counts free it all.
"""

import gc
import time
from collections.abc import Callable

WHOLE_SECONDS = 86_400.0


class Collector:
    """Collects when it is told to, and nobody else does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_whole = clock()

    def begin(self) -> None:
        """Take over from Python's own collections; what was imported is set apart."""
        gc.disable()
        gc.collect()
        gc.freeze()

    def tick(self) -> None:
        """Collect what is new; all, once a day."""
        if self._clock() - self._last_whole >= WHOLE_SECONDS:
            gc.unfreeze()
            gc.collect()
            self._last_whole = self._clock()
        else:
            gc.collect(0)
        gc.freeze()

    def end(self) -> None:
        """Leave it to Python again."""
        gc.unfreeze()
        gc.enable()
