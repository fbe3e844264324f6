"""A real sink whose warehouse can be told to fail: run by the tests as a process of its own.

The warehouse is chdb, the current engine, inside the sink's process. Between the two stands this
wrapper, which reads before each insert what a file asks for. (How the client of a real server
behaves when that is killed, slow or loses an answer: tests/test_sinks_server.py.)
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust

from sinks.warehouse import Warehouse, WarehouseUnavailable, open_warehouse
from streams.settings import Settings
from streams.sink import build_sink


class FaultyWarehouse:
    """A warehouse that does to inserts what the file says: ok, down, slow, lost, half or die."""

    def __init__(self, whole: Warehouse, wish: Path) -> None:
        self._whole = whole
        self._wish = wish
        self.query = whole.query
        self.execute = whole.execute
        self.close = whole.close

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Store the rows, or fail in the way that is asked for."""
        match self._wish.read_text():
            case "down":
                raise WarehouseUnavailable("nobody is there")
            case "lost":
                self._whole.insert(table, columns, rows)
                raise WarehouseUnavailable("the answer was lost")
            case "half":
                self._whole.insert(table, columns, rows[: len(rows) // 2])
                raise WarehouseUnavailable("the connection was cut in the middle")
            case "slow":
                time.sleep(2)
            case "die before":
                os.kill(os.getpid(), signal.SIGKILL)
            case "die between":
                self._whole.insert(table, columns, rows[: len(rows) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            case "die after":  # and before the offset is committed
                self._whole.insert(table, columns, rows)
                os.kill(os.getpid(), signal.SIGKILL)
        self._whole.insert(table, columns, rows)


if __name__ == "__main__":
    settings = Settings.model_validate_json(sys.argv[1])
    warehouse = FaultyWarehouse(open_warehouse(settings.warehouse), Path(sys.argv[2]))
    app = build_sink(settings, warehouse)
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
