"""A ClickHouse server over its native protocol: the warehouse of a production system."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from clickhouse_driver import Client, errors

from sinks.warehouse import (
    INSERT_SETTINGS,
    Limits,
    Param,
    WarehouseRefused,
    WarehouseUnavailable,
    error_of,
    quoted,
)

# It writes each failure to connect with its traceback; what is raised says it in a line.
logging.getLogger("clickhouse_driver.connection").setLevel(logging.CRITICAL)
_Answer = TypeVar("_Answer")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# What the driver raises, besides its own errors, for a value that its column cannot hold.
_BAD_VALUES = (ArithmeticError, AttributeError, TypeError, ValueError)


class ServerWarehouse:
    """One connection to a server, made on the first request and made again after a failure."""

    def __init__(
        self,
        host: str,
        port: int | None = None,
        database: str = "default",
        user: str = "default",
        password: str = "",
        *,
        secure: bool = False,
        verify: bool = True,
        connect_timeout: float = 5,
        timeout: float = 60,
    ) -> None:
        """Describe the connection; nothing is sent yet.

        Args:
            host: name or address of the server.
            port: of the native protocol; 9000, or 9440 with ``secure``, where not given.
            database: it must exist.
            user: who asks.
            password: of ``user``; never shown.
            secure: TLS.
            verify: check the server's certificate.
            connect_timeout: seconds.
            timeout: seconds without a sign of life from the server before a request fails.
        """
        self._name = f"{user}@{host}:{port or (9440 if secure else 9000)}/{database}"
        self._lock = threading.Lock()
        self._client = Client(
            host,
            port,
            database,
            user,
            password,
            client_name="touchline",
            secure=secure,
            verify=verify,
            connect_timeout=connect_timeout,
            send_receive_timeout=timeout,
            # {name:Type} is filled in by the server, which knows the type.
            settings={"server_side_params": True},
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Describe ``clickhouse://user:password@host:port/database?secure=true``.

        Raises:
            ValueError: the URL lacks a host or has an option that is not known.
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        # An @ that is left over belongs to a password that was cut at its / ? or #.
        if not host or "@" in parts.path + parts.query + parts.fragment:
            raise ValueError(
                "write clickhouse://user:password@host:port/database, and percent-encode "
                "what is not a letter or a digit in the password"
            )
        return cls(
            host,
            port,
            unquote(parts.path.strip("/")) or "default",
            unquote(parts.username or "default"),
            unquote(parts.password or ""),
            **dict(_option(name, value) for name, value in parse_qsl(parts.query)),
        )

    def __repr__(self) -> str:
        return f"ServerWarehouse({self._name!r})"

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Store ``rows``; see :class:`sinks.warehouse.Warehouse`."""
        if not rows:
            return
        statement = f"INSERT INTO {quoted([table])} ({quoted(columns)}) VALUES"
        self._ask(lambda: self._client.execute(statement, rows, settings=INSERT_SETTINGS))

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        limits: Limits | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a ``SELECT``; see :class:`sinks.warehouse.Warehouse`."""
        written = {
            name: value if isinstance(value, str | int | float) else list(value)
            for name, value in (params or {}).items()
        }
        sql = limits.on(sql) if limits else sql
        rows: list[tuple[Any, ...]] = self._ask(lambda: self._client.execute(sql, written or None))
        return rows

    def execute(self, sql: str) -> None:
        """Run one statement that returns nothing; see :class:`sinks.warehouse.Warehouse`."""
        self._ask(lambda: self._client.execute(sql))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._client.disconnect()

    def _ask(self, request: Callable[[], _Answer]) -> _Answer:
        """Make one request; the driver drops the connection on any error, and connects anew."""
        try:
            with self._lock:
                return request()
        except errors.Error as error:
            message = str(error.message).partition("Stack trace")[0].strip()
            raise error_of(error.code, f"{self._name}: {message}") from error
        except (EOFError, OSError) as error:
            raise WarehouseUnavailable(f"{self._name} went away: {error!r}") from error
        except _BAD_VALUES as error:
            raise WarehouseRefused(f"{self._name}: the data does not fit: {error!r}") from error


def _option(name: str, value: str) -> tuple[str, Any]:
    try:
        match name:
            case "secure" | "verify":
                return name, _BOOLEANS[value.lower()]
            case "connect_timeout" | "timeout":
                return name, float(value)
    except (KeyError, ValueError):
        raise ValueError(f"the clickhouse:// URL has {name}={value!r}") from None
    raise ValueError(
        f"the clickhouse:// URL has an unknown option {name!r}; "
        "known are secure, verify, connect_timeout and timeout"
    )
