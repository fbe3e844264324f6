"""The decoded profiles that were used last."""

from typing import NamedTuple

from schemas.profile import Profile


class Entry(NamedTuple):
    """A profile, and the due time that its row on the disk has."""

    profile: Profile
    written: int


class Cache:
    """At most ``capacity`` entries, in two halves: the one that was not used lately is dropped."""

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young: dict[str, Entry] = {}
        self._old: dict[str, Entry] = {}

    def get(self, user_id: str) -> Entry | None:
        """Return an entry, which is then among the youngest."""
        entry = self._young.get(user_id)
        if entry is None and (entry := self._old.get(user_id)) is not None:
            self.put(user_id, entry)
        return entry

    def put(self, user_id: str, entry: Entry) -> None:
        """Keep an entry."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._old.pop(user_id, None)
        self._young[user_id] = entry
