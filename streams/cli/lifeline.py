"""What ends with us even if we are killed: a process of its own that waits for our end.

Nobody can clean up after a SIGKILL but another process. It reads a pipe that only we hold open, and
is told there whom to end. When the pipe ends before it was told that all is well, we are gone.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self


class Lifeline:
    """Ends with SIGKILL whoever it was told to hold, if this process dies in the ``with`` block."""

    def __enter__(self) -> Self:
        """Start the process that waits."""
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # what is sent to our group, Ctrl-C above all, is not for it
        )
        return self

    def hold(self, pid: int) -> None:
        """End this process with us."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"%d\n" % pid)
            self._process.stdin.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go: whoever was held was ended in order, and its number may be another's by now."""
        self._process.kill()
        self._process.communicate()


def wait(lines: Iterable[str]) -> None:
    """Read whom to end until there are no more lines, then end them."""
    for pid in [int(line) for line in lines]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    wait(sys.stdin)
