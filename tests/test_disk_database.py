"""A folder of RocksDB that cannot be opened: thrown away where it is damaged, else kept."""

import subprocess
import sys
from pathlib import Path

from rocksdict import WriteBatch

from streams.disk_database import Database

OPEN = """
import resource, sys
from pathlib import Path
from streams.disk_database import Database
files = len(list(Path("/proc/self/fd").iterdir()))
resource.setrlimit(resource.RLIMIT_NOFILE, (files + 4, files + 4))
Database(Path(sys.argv[1]))
"""


def written(folder: Path) -> None:
    """Leave a database with one row."""
    database, batch = Database(folder), WriteBatch(raw_mode=True)
    batch.put(b"a", b"b")
    database.write(batch)
    database.flush()
    database.close()


def test_what_cannot_be_opened_now_is_not_thrown_away(tmp_path: Path) -> None:
    """A process with too many open files says so and ends; the data are there afterwards."""
    written(tmp_path / "0")
    ended = subprocess.run(
        [sys.executable, "-c", OPEN, tmp_path / "0"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Too many open files" in ended.stderr.splitlines()[-1]
    database = Database(tmp_path / "0")
    assert database.get(b"a") == b"b"
    database.close()


def test_a_folder_that_lacks_a_file_is_made_anew(tmp_path: Path) -> None:
    """What was lost is read from the changelog again, not waited for."""
    written(tmp_path / "0")
    (manifest,) = (tmp_path / "0").glob("MANIFEST*")
    manifest.unlink()
    database = Database(tmp_path / "0")
    assert database.get(b"a") is None
    database.close()
