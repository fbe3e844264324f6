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


def fact_id(user_id: str, kind: str, subject: str, new: str, *, cause_id: str, at: int) -> str:
    """Return the id of a fact: who, what, to which value, by which cause, at which stream time."""
    return _digest("fact", user_id, kind, subject, new, cause_id, str(at))


def _digest(*parts: str) -> str:
    """Hash the parts as netstrings (``3:abc,``), so that no two lists of parts run together."""
    framed = "".join([f"{len(part)}:{part}," for part in parts])
    return blake2b(framed.encode(), digest_size=_ID_BYTES).hexdigest()
