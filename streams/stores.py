"""The stores of a worker: one for each partition, in memory or in a folder that is its alone."""

import fcntl
from pathlib import Path
from typing import IO

from processors.playbook import Playbook
from streams.disk_store import DiskStore
from streams.settings import Settings
from streams.store import MemoryStore, Store, StoreError


class Stores:
    """Opens stores, and keeps other processes out of the folder.

    Args:
        settings: Of the worker.
        playbook: The rules in force.
    """

    def __init__(self, settings: Settings, playbook: Playbook) -> None:
        self._settings = settings
        self._playbook = playbook
        self._lock: IO[str] | None = None
        self._open: dict[int, Store] = {}

    @property
    def folder(self) -> Path:
        """The folder of this worker."""
        settings = self._settings
        name = settings.instance or "worker"
        return Path(settings.data) / f"{settings.topic_prefix}{settings.group}" / name

    def kept(self) -> set[int]:
        """Return the partitions that have a folder here, from now or from earlier."""
        if self._settings.store == "memory" or not self.folder.exists():
            return set()
        return {int(each.name) for each in self.folder.iterdir() if each.name.isdecimal()}

    def open(self, partition: int) -> Store:
        """Return the store of a partition, which is opened if it is not open yet.

        Raises:
            StoreError: another process uses the folder.
        """
        if partition not in self._open:
            self._open[partition] = self.new(partition)
        return self._open[partition]

    def close_others(self, partitions: set[int]) -> None:
        """Close all stores but those of these partitions."""
        for partition in set(self._open) - partitions:
            self._open.pop(partition).close()

    def close(self) -> None:
        """Close all stores, and let others into the folder."""
        self.close_others(set())
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def new(self, partition: int) -> Store:
        """Return a store that is the caller's to close, of a partition that is not open here.

        Raises:
            StoreError: another process uses the folder.
        """
        settings = self._settings
        if settings.store == "memory":
            return MemoryStore(self._playbook)
        self.keep_out_others()
        return DiskStore(
            self.folder / str(partition),
            f"{settings.topic('profiles-changelog')}/{partition}",
            self._playbook,
            settings.cache_profiles,
            marks=1 if settings.broker == "kafka" else 0,
        )

    def keep_out_others(self) -> None:
        """Make the folder this process's alone.

        Raises:
            StoreError: another process uses it, or it cannot be written to.
        """
        if self._lock is not None or self._settings.store == "memory":
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise StoreError(
                f"no profiles can be kept in {self.folder} ({error.strerror}): name a folder that "
                "this user may write to (TOUCHLINE_DATA)"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise StoreError(
                f"another worker uses {self.folder}: give each worker on a machine a name "
                "(TOUCHLINE_INSTANCE) or a folder (TOUCHLINE_DATA) of its own"
            ) from error
        self._lock = lock
