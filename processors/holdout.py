"""The global holdout: people who get no action, so that the effect of actions can be measured."""

from hashlib import blake2b

HUNDREDTHS = 10_000
"""Shares of people are counted in hundredths of a percent."""


def held_out(user_id: str, share: int, salt: str) -> bool:
    """Tell whether the person is held out: the same answer in every process, for ever.

    Args:
        user_id: The person.
        share: Hundredths of a percent of all people.
        salt: Another salt draws another group.
    """
    digest = blake2b(user_id.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest) % HUNDREDTHS < share
