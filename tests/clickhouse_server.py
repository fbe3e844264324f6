"""A real ClickHouse server, started by hand on loopback, and a network cable that can be cut.

Debian's server is old (18.16): good to speak the native protocol with, not for our tables.

PYTEST_DONT_REWRITE: the tests import this module before pytest knows it as a plugin.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import free_ports

from sinks.warehouse import Warehouse, WarehouseUnavailable, open_warehouse

INSTALL = Path(__file__).resolve().parents[1] / "deploy" / "clickhouse" / "install.sh"
PASSWORD = "open/sesame"  # noqa: S105 - guards a temporary server; the / must be percent-encoded
_CONFIG = """
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{port}</tcp_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <mark_cache_size>67108864</mark_cache_size>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
</yandex>
"""
_USERS = """
<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><writer>
    <password>{password}</password>
    <networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
  </writer></users>
</yandex>
"""


class ClickHouseServer:
    """A server process with its data in a temporary folder, which outlives a kill."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "config.xml").write_text(_CONFIG.format(port=self.port, folder=folder))
        (folder / "users.xml").write_text(_USERS.format(password=PASSWORD))

    def url(self, port: int | None = None, options: str = "") -> str:
        """Return the URL of the warehouse, by way of another port where one is given."""
        password = PASSWORD.replace("/", "%2F")
        return f"clickhouse://writer:{password}@127.0.0.1:{port or self.port}/default?{options}"

    def start(self) -> None:
        """Start the process if it does not run, and return when it answers."""
        if self._process is not None:
            return
        command = ["clickhouse-server", f"--config-file={self._folder / 'config.xml'}"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + 90
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self._folder / "server.log").read_text(errors="replace")
                raise AssertionError(f"clickhouse-server did not start:\n{log_text[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process, by default as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.closing(open_warehouse(self.url())) as warehouse:
            try:
                return warehouse.query("SELECT 1") == [(1,)]
            except WarehouseUnavailable:
                return False


class Cable:
    """A TCP proxy to the server: it can stop carrying requests or answers, and be cut."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.carried = 0
        self.jam_requests_after: int | None = None
        self.lose_answers_after: int | None = None
        self.jammed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def repair(self) -> None:
        """Carry everything again, for connections made from now on."""
        self.carried, self.jam_requests_after, self.lose_answers_after = 0, None, None
        self.jammed.clear()

    def cut(self) -> None:
        """Close all connections."""
        for end in self._sockets:
            with contextlib.suppress(OSError):  # it may be closed already
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets.clear()

    def close(self) -> None:
        """Close the connections and the port."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for work in (self._requests, self._answers):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut, or an end went away
            while data := client.recv(4096):
                if self.jam_requests_after is not None and self.carried > self.jam_requests_after:
                    self.jammed.set()
                    return
                self.carried += len(data)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut, or an end went away
            while data := server.recv(4096):
                if self.lose_answers_after is None or self.carried <= self.lose_answers_after:
                    client.sendall(data)
        with contextlib.suppress(OSError):  # closed already
            client.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def clickhouse_installed() -> None:
    """Install the server where it is missing."""
    if shutil.which("apt-get") is None and shutil.which("clickhouse-server") is None:
        pytest.skip("no clickhouse-server here, and no apt-get to install it with")
    done = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{INSTALL} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.fixture(scope="module")
def clickhouse_server(
    clickhouse_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClickHouseServer]:
    """One server for all tests of a module, perhaps stopped by one of them."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    yield server
    server.stop()


@pytest.fixture
def clickhouse(clickhouse_server: ClickHouseServer) -> ClickHouseServer:
    """A running server."""
    clickhouse_server.start()
    return clickhouse_server


@pytest.fixture
def cable(clickhouse: ClickHouseServer) -> Iterator[Cable]:
    """A cable to the server."""
    cable = Cable(clickhouse.port)
    yield cable
    cable.close()


@pytest.fixture
def direct(clickhouse: ClickHouseServer) -> Iterator[Warehouse]:
    """A warehouse on the server, by the straight way, with an empty table ``events``."""
    with contextlib.closing(open_warehouse(clickhouse.url())) as warehouse:
        warehouse.execute("DROP TABLE IF EXISTS events")
        warehouse.execute("""
            CREATE TABLE events (id Int64, name String, note Nullable(String), month Date)
            ENGINE = ReplacingMergeTree PARTITION BY month ORDER BY id
        """)
        yield warehouse
