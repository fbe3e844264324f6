"""ClickHouse inside this process (chdb): the warehouse of the demonstration and of the tests."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pyarrow as pa  # type: ignore[import-untyped]  # comes with chdb, without stubs
from chdb import session

from sinks.warehouse import (
    INSERT_SETTINGS,
    Limits,
    Param,
    WarehouseError,
    WarehouseRefused,
    error_of,
    quoted,
)

# Arrow types of the ClickHouse types that our tables use; any other is left to Arrow to infer.
_ARROW = {
    "Array(DateTime64(3, 'UTC'))": pa.list_(pa.timestamp("ms", "UTC")),
    "Array(Int64)": pa.list_(pa.int64()),
    "Array(String)": pa.list_(pa.binary()),
    "Bool": pa.bool_(),
    "Int64": pa.int64(),
    "Map(String, String)": pa.map_(pa.binary(), pa.binary()),
    "String": pa.binary(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    # As a bare integer ClickHouse would take it for seconds.
    "DateTime64(3, 'UTC')": pa.timestamp("ms", "UTC"),
}
_ENGINE = "?os_threads_nice_value_merge_mutate=10"
"""Merges in the background give way to questions and inserts, but go on: on cores that are all busy
a thread of nice 10 has a tenth of another's time. It takes CAP_SYS_NICE, and is ignored without."""
_TABLES = "metadata"
"""What ClickHouse makes in a folder with the first table: whatever is there, it is a warehouse."""
PIECE = 2_000
"""Rows in one message of the Arrow stream; each costs ClickHouse as much as 300 rows."""
_TURNED = 500
"""Rows turned into columns at one time: so few that they are in the processor's cache, and that
Python, which sees an iterator for each row, does not look for garbage every time (from 700)."""
_BLOCK = 131_072
"""Rows that ClickHouse sorts and writes while it is sent those after."""
# chdb reads a scalar parameter as tab-separated text, and an array as a literal.
_TEXT = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": r"\0"})
_LITERAL = str.maketrans({"\\": r"\\", "'": r"\'"})


class EmbeddedWarehouse:
    """A folder of ClickHouse tables, opened by this process alone.

    Rows go in as an Arrow stream: the fastest way measured (three times JSON, and safe for
    bytes that are not UTF-8).
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the folder, and with ``create`` make it where it does not exist.

        Raises:
            WarehouseRefused: another process holds it, this process holds another one, it cannot
                be written, or without ``create`` it holds no tables.
        """
        if not create and not (path / _TABLES).is_dir():
            raise WarehouseRefused(
                f"there is no warehouse in {path}: name the one that a sink fills "
                "(--warehouse, TOUCHLINE_WAREHOUSE), or begin one: `touchline warehouse migrate`"
            )
        self.path = path
        self._types: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._session: Any = session.Session(f"{path}{_ENGINE}")  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError) as error:
            raise WarehouseRefused(_why_not_opened(path, str(error))) from error
        # Text as bytes: Arrow would fail on a string that is not UTF-8.
        self.execute("SET output_format_arrow_string_as_string = 0")
        for name, value in INSERT_SETTINGS.items():
            self.execute(f"SET {name} = {value}")

    @classmethod
    def from_url(cls, url: str, *, create: bool = True) -> Self:
        """Open ``chdb:///absolute/folder`` or ``chdb:relative/folder``."""
        path = unquote(url.removeprefix("chdb:").removeprefix("//"))
        if not path or "?" in path:
            raise ValueError(f"{url!r} names no folder: write chdb:///absolute or chdb:relative")
        return cls(Path(path).absolute(), create=create)

    def __repr__(self) -> str:
        return f"EmbeddedWarehouse({str(self.path)!r})"

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Store ``rows``; see :class:`sinks.warehouse.Warehouse`."""
        if not rows:
            return
        statement = (
            f"INSERT INTO {quoted([table])} ({quoted(columns)}) "
            f"SETTINGS min_insert_block_size_rows = {_BLOCK}"
        )
        messages = _arrow_messages(table, self._types_of(table), columns, rows)
        try:
            # ClickHouse works on one message while the next is made: two cores instead of one.
            with self._lock, self._session.send_insert(statement, "ArrowStream") as insert:
                for message in messages:
                    insert.append(message)
                insert.finish()
        except RuntimeError as error:
            raise _engine_error(error) from error

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        limits: Limits | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a ``SELECT``; see :class:`sinks.warehouse.Warehouse`."""
        sql = limits.on(sql) if limits else sql
        written = {name: _written(value) for name, value in (params or {}).items()}
        try:
            with self._lock:
                table = self._read(sql, written)
        except RuntimeError as error:
            raise _engine_error(error) from error
        columns = (column.to_pylist(maps_as_pydicts="strict") for column in table.columns)
        return list(zip(*(map(_text, column) for column in columns), strict=True))

    def execute(self, sql: str) -> None:
        """Run one statement that returns nothing; see :class:`sinks.warehouse.Warehouse`."""
        try:
            with self._lock:
                self._session.query(sql)
        except RuntimeError as error:
            raise _engine_error(error) from error
        self._types.clear()

    def close(self) -> None:
        """Give the folder back to other processes."""
        self._session.close()

    def _read(self, sql: str, params: Mapping[str, Any]) -> Any:
        try:
            return self._session.query(sql, "ArrowTable", params=params)
        except RuntimeError:
            # chdb puts what a failed query had written already before the answer of the next one.
            self._session.query("SELECT 1", "Null")
            raise

    def _types_of(self, table: str) -> dict[str, Any]:
        if table not in self._types:
            described = self.query(f"DESCRIBE TABLE {quoted([table])}")
            self._types[table] = {name: _ARROW.get(_plain(type_)) for name, type_, *_ in described}
        return self._types[table]


def _arrow_messages(
    table: str, types: Mapping[str, Any], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> Iterator[bytes]:
    """Give the rows as an Arrow IPC stream in pieces, each column of the type its table wants."""
    if any(len(row) != len(columns) for row in rows):
        raise WarehouseRefused(
            f"the rows do not fit the table {table}: one has not {len(columns)} values"
        )
    try:
        kinds = [
            types.get(name) or pa.infer_type(list(map(itemgetter(place), rows)))
            for place, name in enumerate(columns)
        ]
        schema = pa.schema(list(zip(columns, kinds, strict=True)))
        yield schema.serialize().to_pybytes()
        for start in range(0, len(rows), PIECE):
            values = _turned(rows[start : start + PIECE], len(columns))
            arrays = [pa.array(each, kind) for each, kind in zip(values, kinds, strict=True)]
            yield pa.record_batch(arrays, schema=schema).serialize().to_pybytes()
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise WarehouseRefused(f"the rows do not fit the table {table}: {error}") from error


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Return the columns of the rows."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for start in range(0, len(rows), _TURNED):
        values = zip(*rows[start : start + _TURNED], strict=True)
        for column, part in zip(columns, values, strict=True):
            column.extend(part)
    return columns


def _plain(type_: str) -> str:
    """Return a ClickHouse type without the wrappers that Arrow does not see."""
    return re.sub(r"(?:LowCardinality|Nullable)\((\w+)\)", r"\1", type_)


def _written(value: Param) -> str | int | float:
    """Return a parameter as chdb reads it."""
    match value:
        case str():
            return value.translate(_TEXT)
        case int() | float():
            return value
    items = (f"'{x.translate(_LITERAL)}'" if isinstance(x, str) else str(x) for x in value)
    return f"[{','.join(items)}]"


def _text(value: Any) -> Any:
    """Return bytes as text where they are UTF-8, inside lists and maps too."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
        case list():
            return [_text(item) for item in value]
        case dict():
            return {_text(name): _text(item) for name, item in value.items()}
    return value


def _engine_error(error: RuntimeError) -> WarehouseError:
    code = re.search(r"Code: (\d+)\.", str(error))
    return error_of(int(code[1]) if code else 0, str(error).partition("Stack trace")[0].strip())


def _why_not_opened(path: Path, error: str) -> str:
    if "already initialized with path" in error:
        return f"cannot open {path}: chdb opens one folder per process; close the other one first"
    holder = _holder(path)
    if holder:
        return (
            f"cannot open {path}: process {holder} holds it (says {path / 'status'}), and chdb "
            "lets only one process open a folder. Stop that worker or demo, or keep the tables "
            "on a clickhouse:// server"
        )
    return f"cannot open {path}: {error.partition('Stack trace')[0].strip()}"


def _holder(path: Path) -> str | None:
    """Return the id of the process that holds the folder, as ClickHouse notes it in ``status``."""
    status = path / "status"
    found = re.search(r"PID: (\d+)", status.read_text()) if status.is_file() else None
    return found[1] if found else None
