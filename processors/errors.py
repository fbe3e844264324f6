"""What the fold refuses: an event that cannot be counted, and a timer that would never end."""

from schemas.profile import Scalar

TEXT_AT_MOST = 256
"""Characters of a name, an id or a value that a profile keeps."""


class Rejected(Exception):  # noqa: N818 - a verdict on an event, not a fault of the program
    """An event that the playbook cannot count; it changes nothing and becomes a dead letter.

    Args:
        reason: A short code for machines.
        detail: One sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class StuckTimerError(RuntimeError):
    """A timer that fired and is due again at once: a fault of the program that would never end."""


def require_short(value: Scalar, what: str) -> None:
    """Refuse a text that a profile cannot keep: what a person's row holds is bounded.

    Raises:
        Rejected: it has more than ``TEXT_AT_MOST`` characters.
    """
    if isinstance(value, str) and len(value) > TEXT_AT_MOST:
        raise Rejected(
            "text_too_long",
            f"{what} has {len(value)} characters, and a profile keeps {TEXT_AT_MOST}: shorten it",
        )
