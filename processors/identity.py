"""Identities: the same cause gives the same id, in every process and at every replay."""

from hashlib import blake2b

EVENT_HASH_BYTES = 8
_ID_BYTES = 16


def event_hash(event_id: str) -> bytes:
    """Return the 64-bit hash by which the window of recent events knows an event."""
    return blake2b(event_id.encode(), digest_size=EVENT_HASH_BYTES).digest()


def action_id(user_id: str, sop: str, sop_version: int, entry_key: str, step: str) -> str:
    """Return the id of the one action that this step of this journey may request."""
    return _digest("action", user_id, sop, str(sop_version), entry_key, step)


def fact_id(
    user_id: str,
    kind: str,
    subject: str,
    new: str,
    *,
    cause_id: str,
    at: int,
    entry_key: str = "",
) -> str:
    """Return the id of a fact: who, what, to which value, by which cause, at which stream time.

    A fact of a journey has its ``entry_key``, too: one event may end a journey and open the next.
    """
    when = str(at)
    # The framing of _digest, spelled out: most of what the fold hashes are facts.
    framed = (
        f"4:fact,{len(user_id)}:{user_id},{len(kind)}:{kind},{len(subject)}:{subject},"
        f"{len(new)}:{new},{len(cause_id)}:{cause_id},{len(when)}:{when},"
    )
    if entry_key:
        framed += f"{len(entry_key)}:{entry_key},"
    return blake2b(framed.encode(), digest_size=_ID_BYTES).hexdigest()


def _digest(*parts: str) -> str:
    """Hash the parts as netstrings (``3:abc,``), so that no two lists of parts run together."""
    framed = "".join([f"{len(part)}:{part}," for part in parts])
    return blake2b(framed.encode(), digest_size=_ID_BYTES).hexdigest()
