"""Whether the state that was read back goes with the log: a worker must not start from less.

A changelog may come back short: deleted and made anew, cut by a retention that it should not have,
restored from a backup. So may the log. Each of these would pass unseen, and give people actions
that they have had already, so each is looked for whenever a partition is taken.
"""

from typing import NamedTuple

from streams.table import Shard

_CURE = "Bring it back, or rebuild the profiles from the log (docs/operations.md)"


class StateLost(RuntimeError):  # noqa: N818 - says what is so, like BrokenPipe
    """State and log do not go together. Starting anyway would lose or repeat something."""


class Log(NamedTuple):
    """What the broker knows of a partition of touchpoints."""

    begin: int
    """The offset of its first record."""
    end: int
    """The offset after its last record."""
    committed: int
    """The offset that the group has committed; 0 for none."""


def check_continuity(partition: int, shard: Shard, log: Log) -> None:
    """Make sure that nothing is missing between the state and the log.

    The committed offset moves with the ledger or after it, so it is never ahead. There are as
    many profiles as the ledger says, or more where a crash left new ones ahead of it.

    Raises:
        StateLost: something is; the message says what, and what to do.
    """
    place, ledger = f"partition {partition}", shard.ledger
    following = ledger.offset + 1
    if log.committed > following:
        raise StateLost(
            f"{place}: the group has committed offset {log.committed}, its changelog ends at "
            f"{following}: the changelog has lost rows, or belongs to another group. {_CURE}"
        )
    people = shard.account.people
    if people < ledger.people:
        raise StateLost(
            f"{place}: there are {people} profiles, the ledger says {ledger.people}: profiles are "
            f"missing from the changelog (is its cleanup.policy `compact`?). {_CURE}"
        )
    if ledger.offset >= 0 and following < log.begin:
        raise StateLost(
            f"{place}: touchpoints from offset {following} to {log.begin - 1} were deleted before "
            "they were applied (is its retention.ms -1?). Bring them back"
        )
    if following > log.end:
        raise StateLost(
            f"{place}: {following} records are applied, but touchpoints end at {log.end}: the "
            f"topic was cut or made anew. {_CURE}"
        )
