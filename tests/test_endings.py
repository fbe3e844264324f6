"""How a process of ours ends: soon, once, and with one line that names cause and cure."""

import asyncio
import logging
import os
import resource
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from brokers import free_ports
from the_line import PATIENCE, the_line

from schemas.records import Touchpoint
from streams.cli import main
from streams.cli.children import Child
from streams.embedded import EmbeddedBroker
from streams.faust_app import App
from streams.store import StoreError

LINGERING = Path(__file__).with_name("lingering_worker.py")
FULL = """
import resource, sys
from pathlib import Path
from rocksdict import WriteBatch
from streams.disk_database import Database
from streams.store import StoreError

def limit(size):  # of what may be written to a file: the disk is full
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def write(key):
    batch = WriteBatch(raw_mode=True)
    batch.put(key, b"v" * 1000)
    database.write(batch)

def refused(act):
    try:
        act()
    except StoreError as error:
        print(error)
    else:
        sys.exit("it is not refused")

folder = Path(sys.argv[1]) / "0"
database = Database(folder)
write(b"before")
database.flush()
limit(0)
refused(lambda: write(b"full"))
database.close()
refused(lambda: Database(folder))
refused(lambda: Database(folder.with_name("1")))
limit(resource.RLIM_INFINITY)
assert Database(folder).get(b"before") == b"v" * 1000
"""


def ended_by(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command that fails; return the one line that it says."""
    monkeypatch.setattr("sys.argv", ["touchline", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("folder", ["FILE", "/proc"])
def test_a_folder_that_cannot_hold_profiles_is_told_before_anybody_is_asked(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A plain file, and a file system that takes none: one line, with the setting to change."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOUCHLINE_STORE", "rocksdb")
    monkeypatch.setenv("TOUCHLINE_DATA", folder.replace("FILE", str(tmp_path / "file")))
    said = ended_by("worker --bootstrap 127.0.0.1:1 --web-port 0", monkeypatch, capsys)
    assert said.startswith("touchline: no profiles can be kept in ")
    assert "(TOUCHLINE_DATA)" in said


@pytest.mark.parametrize("command", ["worker", "sink"])
def test_a_registry_that_does_not_answer_is_told_at_the_start(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not at the first record that needs it, in the middle of the night."""
    monkeypatch.setenv("TOUCHLINE_WAREHOUSE", "clickhouse://127.0.0.1:1/none")
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    asked = f"{command} --bootstrap 127.0.0.1:1 --web-port 0 --registry {url}"
    said = ended_by(asked, monkeypatch, capsys)
    assert said.startswith(f"touchline: no usable answer from the schema registry at {url}/")
    assert "check that it runs" in said


def test_a_full_disk_is_told_and_discards_nothing(tmp_path: Path) -> None:
    """Whether a row, a known folder or a new one is refused: what was there is there afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("was not closed cleanly") == 1
    told = done.stdout.splitlines()
    assert len(told) == 3
    assert all("Is the disk full, or away? Make room" in each for each in told)


def test_only_the_first_error_is_told_and_no_way_to_one_that_names_its_cure() -> None:
    """What comes after the first comes of it; a defect keeps its traceback."""
    log = logging.getLogger("nobody")

    def die(*errors: Exception) -> list[str]:
        told: list[str] = []

        async def crash(error: Exception) -> None:
            told.extend("".join(traceback.format_exception(error)).splitlines())

        async def end() -> None:
            app: Any = SimpleNamespace(fatal=None, log=log, crash=crash)
            for each in errors:
                try:
                    raise each from OSError("the disk")
                except type(each) as error:
                    await App.die(app, error)

        asyncio.run(end())
        return told

    assert die(StoreError("full: make room"), RuntimeError("an earlier batch failed")) == [
        "streams.store.StoreError: full: make room"
    ]
    assert any("the disk" in line for line in die(RuntimeError("a defect")))


def test_a_disk_that_fills_up_ends_a_worker_with_one_line(tmp_path: Path) -> None:
    """At once, though other partitions wait for their commits, and without a traceback."""
    payload = {"page": "/", "category": "", "duration_ms": 0}
    views = [Touchpoint(f"e{n}", f"u{n}", 1 << 40, "page_viewed", payload) for n in range(1_000)]
    with EmbeddedBroker() as broker:
        given: Any = {"broker": "plain", "store": "rocksdb", "session_timeout": 2.0}
        with the_line(broker.bootstrap, "", tmp_path, **given) as line:
            (port,) = free_ports(1)
            settings = line.settings.model_copy(update={"web_port": port})
            command = [sys.executable, "-m", "streams", "worker"]
            environ = os.environ | settings.to_environ()
            with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as worker:
                try:
                    Child("worker", settings, tmp_path).wait_ready()
                    # Its profiles are files, and what it says goes into a pipe.
                    full = (0, resource.RLIM_INFINITY)
                    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, full)
                    line.publish(views)
                    said = worker.communicate(timeout=PATIENCE)[1].decode()
                finally:
                    worker.kill()
    assert worker.returncode == 1, said
    assert "Traceback" not in said
    (last,) = [each for each in said.splitlines() if each.startswith("touchline: ")]
    assert last.startswith("touchline: stopped: StoreError: ")
    assert "Is the disk full" in last


@pytest.mark.kafka
def test_a_worker_that_nobody_answers_ends_in_time(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """It would wait for ever: it says so, ends, and says that nothing is lost."""
    with the_line(kafka_bootstrap, topic_prefix, tmp_path) as line:
        (port,) = free_ports(1)
        settings = line.settings.model_copy(update={"web_port": port})
        command = [sys.executable, str(LINGERING), settings.model_dump_json(), "1"]
        child = Child("worker", settings, tmp_path)
        with child.log.open("wb") as log, subprocess.Popen(command, stderr=log) as worker:
            try:
                child.wait_ready()
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(100) == 1
            finally:
                worker.kill()
    last = child.log.read_text().splitlines()[-1]
    assert last.startswith("touchline: stopped in the middle: not all was acknowledged in 1 s.")
    assert "Nothing is lost" in last
