"""``touchline demo --keep``: it stays to be looked at, and leaves no process behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from the_line import await_that

from streams.cli.pages import PageError, read_json

OWN_PATIENCE = 600
"""Seconds, more than the demonstration waits for its parts: it is to say itself what is late."""


@contextmanager
def kept(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """Give a demonstration that is to stay, and what it has said so far."""
    said = folder / "said.txt"
    command = [sys.executable, "-m", "streams", "demo", "--keep", "--data", str(folder / "data")]
    (folder / "tmp").mkdir()
    environ = os.environ | {"TMPDIR": str(folder / "tmp")}
    with said.open("w") as stderr:
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, env=environ)
    try:
        yield demo, said.read_text
    finally:
        demo.terminate()
        demo.wait(60)


def answers(page: str) -> bool:
    """Tell whether anybody serves this page."""
    with suppress(PageError):
        return bool(read_json(page))
    return False


def listens(port: int) -> bool:
    """Tell whether anybody takes connections at this port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10):
        return True
    return False


def pages_of(logs: list[Path]) -> list[str]:
    """Return the health pages that the first lines of these logs name."""
    found = [re.search(r"http://\S+/health", log.read_text()) for log in logs]
    return [each.group() for each in found if each is not None]


def test_a_kept_demonstration_ends_with_all_its_processes(tmp_path: Path) -> None:
    """The printed addresses answer while it runs; after the signal nothing answers any more."""
    with kept(tmp_path) as (demo, said):
        await_that(lambda: demo.poll() is not None or "Still running" in said(), said, OWN_PATIENCE)
        pages = re.findall(r"http://[\d.:]+/(?:status|tables)", said())
        assert all(answers(page) for page in pages), said()
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)
    assert len(pages) == 2
    assert not any(answers(page) for page in pages)
    assert "Everything is stopped" in said()


def test_a_killed_demonstration_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    """Of one that could not clean up neither process is left, nor a file beside its folder."""
    logs = [tmp_path / "data" / f"{command}.log" for command in ("worker", "sink")]
    with kept(tmp_path) as (demo, said):
        await_that(lambda: all(log.exists() for log in logs), said)
        await_that(lambda: len(pages_of(logs)) == len(logs), said)
        pages = pages_of(logs)
        await_that(lambda: all(map(answers, pages)), said)
        broker = re.search(r"127\.0\.0\.1:(\d+)", said())
        assert broker is not None
        demo.kill()
        demo.wait()
        await_that(lambda: not any(map(answers, pages)), said)
        await_that(lambda: not listens(int(broker.group(1))), said)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert "listening on" in (tmp_path / "data" / "broker.log").read_text()
