"""``touchline demo --keep``: it stays to be looked at, and leaves no process behind."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.cli.pages import PageError, read_json


@pytest.mark.parametrize("ending", [signal.SIGTERM])
def test_a_kept_demonstration_ends_with_all_its_processes(
    tmp_path: Path, ending: signal.Signals
) -> None:
    """The printed addresses answer while it runs; after the signal nothing answers any more."""
    said = tmp_path / "said.txt"
    command = [sys.executable, "-m", "streams", "demo", "--keep", "--data", str(tmp_path / "data")]
    with said.open("w") as stderr:
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            deadline = time.monotonic() + 220
            while "Still running" not in said.read_text():
                assert demo.poll() is None, said.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            pages = re.findall(r"http://[\d.:]+/(?:status|tables)", said.read_text())
            assert all(read_json(page) for page in pages)
        finally:
            demo.send_signal(ending)
            demo.wait(60)
    assert len(pages) == 2
    for page in pages:
        with pytest.raises(PageError):
            read_json(page)
