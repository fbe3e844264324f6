"""The port to the warehouse: what the sinks and the queries may ask of ClickHouse.

Two adapters fulfil it: :mod:`sinks.server` speaks to a ClickHouse server, :mod:`sinks.embedded`
runs ClickHouse inside the process. Their tests are the same tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

Param: TypeAlias = str | int | float | Sequence[str] | Sequence[int]


INSERT_SETTINGS = {"optimize_on_insert": 0, "insert_distributed_sync": 1}
"""How rows are stored: without looking for repeats within an insert, which takes two thirds of its
time (merges remove them as those of other inserts, and ``FINAL`` does not see them); and on a
cluster before ``insert`` returns, not some time after."""


@dataclass(frozen=True)
class Limits:
    """What one query may take; beyond it the query fails, and nothing is cut off in silence.

    Attributes:
        seconds: of running time.
        rows: of the answer.
        memory: bytes at one time.
    """

    seconds: int = 60
    rows: int = 100_000
    memory: int = 8 * 2**30

    def on(self, sql: str) -> str:
        """Return the query with the settings that keep the limits and let it only read."""
        settings: dict[str, str | int] = {
            "max_execution_time": self.seconds,
            "timeout_overflow_mode": "throw",
            "max_result_rows": self.rows,
            "result_overflow_mode": "throw",
            "max_memory_usage": self.memory,
            # A record's partition is the month of its place in the log, so a row that is stored
            # again is in the partition of its earlier self: FINAL need not look across them.
            "do_not_merge_across_partitions_select_final": 1,
            # On a cluster a subquery is asked once, not by each node of its own rows.
            "distributed_product_mode": "global",
            # Not 1, for a user whose profile says 2 may set all but this to another value.
            "readonly": 2,
        }
        written = ", ".join(f"{name} = {value!r}" for name, value in settings.items())
        return f"{sql} SETTINGS {written}"


class WarehouseError(Exception):
    """A request to the warehouse failed. Never names a password."""


class WarehouseUnavailable(WarehouseError):  # noqa: N818 - says what is so, like BrokenPipe
    """The warehouse cannot be reached or is overloaded: the same request may succeed later.

    The outcome is unknown: an insert may have been stored, whole or in part, although its answer
    was lost. Repeating it is safe for the tables of :mod:`sinks.tables`, whose rows replace
    themselves.
    """


class WarehouseRefused(WarehouseError):  # noqa: N818 - says what is so, like BrokenPipe
    """The warehouse will never accept this request: wrong table, bad data, wrong password.

    Retrying cannot help. Stop and tell a person.
    """


class Warehouse(Protocol):
    """A ClickHouse database. Safe to use from several threads; calls run one at a time.

    Every method blocks, so keep it off the event loop. Every method raises
    :class:`WarehouseUnavailable` or :class:`WarehouseRefused`, and nothing else.
    """

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Store ``rows``; when it returns, they are stored.

        A ``DateTime64(3)`` takes integer milliseconds since 1970 UTC, a ``String`` takes ``str``
        or ``bytes``, a ``Map`` takes a ``dict``. Not atomic: see :class:`WarehouseUnavailable`.
        """

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        limits: Limits | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a ``SELECT``, whose ``{name:Type}`` are filled from ``params``.

        With ``limits`` the query can only read, and fails where it needs more than they give.

        A ``String`` that is not UTF-8 comes back as ``bytes``; a time as an aware ``datetime``
        (ask for ``toUnixTimestamp64Milli`` to get milliseconds).
        """

    def execute(self, sql: str) -> None:
        """Run one statement that returns nothing, such as ``CREATE TABLE``."""

    def close(self) -> None:
        """Give back the connection or the folder. Closing twice is harmless."""


def open_warehouse(url: str, *, create: bool = True) -> Warehouse:
    """Open the warehouse that ``url`` names.

    Args:
        url: ``clickhouse://user:password@host:port/database`` with the options ``secure``,
            ``verify`` (true or false), ``connect_timeout`` and ``timeout`` (seconds); or
            ``chdb:///absolute/folder`` or ``chdb:relative/folder`` for ClickHouse in this process.
        create: Whether a folder is made that is not there; a server's database never is.

    Raises:
        ValueError: the URL is not of these forms.
        WarehouseRefused: the embedded folder cannot be opened, or is not there and not to be made,
            or chdb is not installed.

    A server is reached on the first request, not here, so that it may start after its clients.
    """
    # Each adapter loads its engine (chdb is 500 MB), so load only the one that is asked for.
    match urlsplit(url).scheme:
        case "clickhouse":
            from sinks.server import ServerWarehouse  # noqa: PLC0415 - see above

            return ServerWarehouse.from_url(url)
        case "chdb":
            try:
                from sinks.embedded import EmbeddedWarehouse  # noqa: PLC0415 - see above
            except ModuleNotFoundError as missing:
                raise WarehouseRefused(
                    f"{missing.name} is not installed: run `pip install 'touchline[embedded]'`, "
                    "or use a clickhouse:// warehouse"
                ) from missing
            return EmbeddedWarehouse.from_url(url, create=create)
        case scheme:
            raise ValueError(
                f"a warehouse URL starts with clickhouse:// or chdb:, not with {scheme!r}"
            )


# ClickHouse's error codes (src/Common/ErrorCodes.cpp) after which the same request may succeed.
_TRANSIENT = {
    159: "TIMEOUT_EXCEEDED",
    173: "CANNOT_ALLOCATE_MEMORY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    254: "NO_ACTIVE_REPLICAS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    364: "RECEIVED_ERROR_TOO_MANY_REQUESTS",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    999: "KEEPER_EXCEPTION",
}


_NOT_THERE = {60: "UNKNOWN_TABLE", 81: "UNKNOWN_DATABASE"}


def error_of(code: int, message: str) -> WarehouseError:
    """Return the error for ClickHouse's ``code``: worth a retry, or not."""
    kind = WarehouseUnavailable if code in _TRANSIENT else WarehouseRefused
    if code in _NOT_THERE:
        message = (
            "a table is missing: look at the warehouse's address, or run `touchline warehouse "
            f"migrate` ({message})"
        )
    return kind(f"ClickHouse error {code}: {message}")


def quoted(names: Sequence[str]) -> str:
    """Return identifiers for SQL: back-quoted, comma-separated.

    Raises:
        WarehouseRefused: a name holds a character that no table or column of ours has.
    """
    for name in names:
        if not name.replace(".", "").isidentifier():
            raise WarehouseRefused(f"{name!r} is not the name of a table or column")
    return ", ".join(".".join(f"`{part}`" for part in name.split(".")) for name in names)
