"""The bounded window of recent events: a repeat within it changes nothing."""

from processors.identity import EVENT_HASH_BYTES


def seen(recent: bytes, mark: bytes) -> bool:
    """Tell whether the event hash ``mark`` is in the window ``recent``."""
    position = recent.find(mark)
    # A hit that straddles two hashes is chance, not a repeat.
    while position > 0 and position % EVENT_HASH_BYTES:
        position = recent.find(mark, position + 1)
    return position >= 0


def remember(recent: bytes, mark: bytes, size: int) -> bytes:
    """Return the window with ``mark`` as its newest entry and at most ``size`` entries."""
    return (recent + mark)[-size * EVENT_HASH_BYTES :]
