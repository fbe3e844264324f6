"""Start workers and sinks as processes of their own, wait for their pages, and stop them by pid."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.cli.pages import PageError, read_json
from streams.settings import PREFIX, Settings

READY_SECONDS = 120.0
STOP_SECONDS = 30.0


class ChildError(RuntimeError):
    """A process of ours ended or does not answer; the message has the end of its log."""


class Child:
    """A ``touchline worker`` or ``touchline sink`` for as long as the ``with`` block lasts."""

    def __init__(
        self, command: str, settings: Settings, folder: Path, *, log_name: str = ""
    ) -> None:
        self.url = f"http://{settings.web_host}:{settings.web_port}"
        self.log = folder / f"{log_name or command}.log"
        self._command = command
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process; it becomes ready in its own time."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "streams", self._command],
                env=own | self._settings.to_environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us; we stop it in order
            )
        return self

    @property
    def pid(self) -> int:
        """The number of the process; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    def wait_ready(self) -> None:
        """Wait until the process serves its partitions.

        Raises:
            ChildError: it ended, or took too long.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                read_json(f"{self.url}/health")
            except PageError:
                time.sleep(0.05)
            else:
                return
        raise ChildError(f"{self._command} is not ready after {READY_SECONDS:.0f} s{self._tail()}")

    def check(self) -> None:
        """Raise ``ChildError`` if the process has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise ChildError(f"{self._command} ended with exit code {code}{self._tail()}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process in order: it finishes what it has begun."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process as a power failure would, with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def suspend(self) -> None:
        """Stop the process where it is, as a stalled machine would, with SIGSTOP."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on, with SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-12:]
        return "\n".join([f"; the end of {self.log}:", *lines])
