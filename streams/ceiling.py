"""When most records are bad, it is not the records: stop before the log is buried.

A publisher with a wrong schema, or a worker without the new one, would set aside a whole day of
touchpoints one by one. So the line stops when of the last `WINDOW` records of a partition more
than the allowed share are dead letters. The batch that brings it there leaves nothing behind, and
the ledger remembers the window, so that a worker that is started again stops at the same record.
"""

from collections.abc import Mapping, Sequence

WINDOW = 1000
_MASK = (1 << WINDOW) - 1


class TooManyDeadLetters(RuntimeError):  # noqa: N818 - says what is so, like BrokenPipe
    """More records are bad than a fault of the data explains. Nothing of this batch is kept."""


def watch(poison: bytes, offsets: Sequence[int], dead: Mapping[int, str], ceiling: float) -> bytes:
    """Return the window after these records.

    Args:
        poison: The window before: one bit for each record, the newest last, 1 for a dead letter.
        offsets: The records, in their order.
        dead: Those of them that are dead letters, and why. No topic has the letters of this batch
            if it stops the line, so that the error has to say it.
        ceiling: The share of the window that may be dead; at 1 nothing stops.

    Raises:
        TooManyDeadLetters: the share was above it after one of the dead records.
    """
    window = int.from_bytes(poison)
    if not dead:
        return _pack(window << len(offsets) & _MASK)
    for offset in offsets:
        bad = offset in dead
        window = (window << 1 | bad) & _MASK
        if bad and window.bit_count() > ceiling * WINDOW:
            raise TooManyDeadLetters(
                f"at offset {offset}: {window.bit_count()} of the last {WINDOW} records are dead "
                f"letters, this one by {dead[offset]}. Mend the publisher, the registry or this "
                "worker's version, and start again. To set them aside all the same, start once "
                "with TOUCHLINE_DEAD_LETTER_CEILING=1, and redrive them later"
            )
    return _pack(window)


def _pack(window: int) -> bytes:
    return window.to_bytes((window.bit_length() + 7) // 8)
