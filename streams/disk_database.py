"""RocksDB in a folder: opened whole or made anew, locked, and marked when it turns out damaged."""

import logging
import shutil
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.store import StoreError

BLOCK_CACHE_BYTES = 64 << 20
WRITE_BUFFER_BYTES = 64 << 20
"""What all partitions of a process share; unwritten rows, and blocks that were read."""
DAMAGED = "DAMAGED"
log = logging.getLogger(__name__)


@cache
def _options() -> Options:
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    tables.set_bloom_filter(10, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(tables)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_manager(WriteBufferManager(WRITE_BUFFER_BYTES, allow_stall=False))
    options.set_write_buffer_size(16 << 20)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    return options


class Database:
    """A RocksDB of bytes.

    Raises:
        StoreError: another process uses the folder, the disk refuses, or the data are damaged;
            damaged data are marked, so that the next start does without them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._off = WriteOptions()
        self._off.disable_wal = True  # type: ignore[method-assign,assignment]  # a property
        self._on = WriteOptions()
        if (folder / DAMAGED).exists():
            self._wipe("its data were damaged")
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._rocks = Rdict(str(folder), _options())
        except Exception as error:  # rocksdict has one class for all of them
            if "LOCK" in str(error):
                raise StoreError(f"{folder} is in use by another process: {error}") from error
            said = str(error)  # too many open files, say, or a full disk: the data are whole
            refused = said.startswith("IO error") or "(os error " in said
            if refused and "No such file" not in said:
                raise self._failure(error) from error
            self._wipe(f"it cannot be opened: {error}")
            self._rocks = Rdict(str(folder), _options())

    def get(self, key: bytes) -> bytes | None:
        """Return a value, None without one."""
        try:
            value: bytes | None = self._rocks.get(key)
        except Exception as error:
            raise self._failure(error) from error
        return value

    def keys(self, start: bytes, end: bytes) -> list[bytes]:
        """Return the keys from ``start`` on, before ``end``."""
        try:
            found: Any = self._rocks.keys(from_key=start, read_opt=_before(end))
            keys: list[bytes] = list(found)
            self._require_end(keys[-1] + b"\x00" if keys else start, end)
        except Exception as error:
            raise self._failure(error) from error
        return keys

    def items(self, start: bytes, end: bytes, at_once: int) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield keys and values from ``start`` on, before ``end``, so many at a time."""
        while True:
            try:
                found: Any = self._rocks.items(from_key=start, read_opt=_before(end))
                chunk: list[tuple[bytes, bytes]] = list(islice(found, at_once))
                del found  # nothing may hold the database open while others have their turn
                start = chunk[-1][0] + b"\x00" if chunk else start
                if len(chunk) < at_once:
                    self._require_end(start, end)
            except Exception as error:
                raise self._failure(error) from error
            if chunk:
                yield chunk
            if len(chunk) < at_once:
                return

    def _require_end(self, start: bytes, end: bytes) -> None:
        """Make sure that nothing is left: rocksdict's iterators end at a damaged block, too."""
        rest = self._rocks.iter(_before(end))
        rest.seek(start)
        rest.status()
        if rest.valid():
            raise StoreError(f"{self.folder}: there is more than was read; restart the worker")

    def write(self, batch: WriteBatch, *, logged: bool = True) -> None:
        """Write all of a batch or nothing; one that is not logged is lost in a crash."""
        try:
            self._rocks.write(batch, self._on if logged else self._off)
        except Exception as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Bring to the disk what was not logged."""
        try:
            self._rocks.flush(wait=True)
        except Exception as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the folder; what is in it stays, and the changelog has the rest."""
        try:
            self._rocks.close()
        except Exception as error:  # noqa: BLE001 - rocksdict has one class for all of them
            log.warning("%s was not closed cleanly: %s", self.folder, error)

    def discard(self, reason: str) -> None:
        """Throw everything away and begin anew."""
        self.close()
        self._wipe(reason)
        self._rocks = Rdict(str(self.folder), _options())

    def _wipe(self, reason: str) -> None:
        log.warning("%s is discarded, and rebuilt from the changelog: %s", self.folder, reason)
        shutil.rmtree(self.folder)

    def _failure(self, error: Exception) -> StoreError:
        if "Corruption" not in str(error):
            return StoreError(
                f"{self.folder}: {error}. Is the disk full, or away? "
                "Make room or bring it back, and start again: nothing is lost"
            )
        (self.folder / DAMAGED).touch()
        return StoreError(
            f"{self.folder} is damaged: {error}. Restart: it is rebuilt from the changelog"
        )


def _before(end: bytes) -> ReadOptions:
    options = ReadOptions()
    options.set_iterate_upper_bound(end)
    return options
