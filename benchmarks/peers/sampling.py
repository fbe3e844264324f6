"""Where a worker's time goes: py-spy's samples, summed up by what the worker was doing."""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from peers.machine import HOME

RATE = 200
"""Samples a second."""

STEPS = (
    ("decode touchpoints", ("decode_touchpoint", "decode_record")),
    ("encode facts and actions", ("encode_fact", "encode_action", "_announcements")),
    ("encode profiles", ("to_rows",)),
    ("fill record batches", ("send_rows",)),
    ("fold", ("partition.py",)),
    ("metrics", ("applied (streams/metrics.py",)),
    ("send, and end transactions", ("aiokafka/producer/", "deliver (")),
    ("fetch and unpack records", ("aiokafka/consumer/", "_fetch_records", "faust_transport.py")),
    ("network and protocol", ("aiokafka/conn.py", "aiokafka/protocol/", "aiokafka/client.py")),
    ("Faust: conductor, queues, agent", ("faust/",)),
)
"""Labels, and what names a step in a stack; the first label that is found counts."""


Sampling = tuple[subprocess.Popen[bytes], Path]
"""A sampler, and the file that it writes."""


def start_sampling(pid: int, seconds: int) -> Sampling:
    """Sample a process for some seconds; returns at once with the sampler and its file."""
    spy = HOME / "py-spy" / "bin" / "py-spy"
    if not spy.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "py-spy")], check=True)
        subprocess.run([str(spy.parent / "pip"), "install", "--quiet", "py-spy"], check=True)
    samples = Path(tempfile.mkstemp(dir=HOME, suffix=".samples")[1])
    command = [str(spy), "record", "--pid", str(pid), "--format", "raw", "--output", str(samples)]
    command += ["--duration", str(seconds), "--rate", str(RATE), "--gil", "--nonblocking"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), samples


def sum_up(samples: Path) -> list[tuple[str, float]]:
    """Return each step's share of the samples, the largest first."""
    counts: Counter[str] = Counter()
    for line in samples.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        label = next(
            (label for label, names in STEPS if any(name in stack for name in names)), "the rest"
        )
        counts[label] += int(number)
    samples.unlink()
    total = sum(counts.values())
    return [(label, number / total) for label, number in counts.most_common()]
