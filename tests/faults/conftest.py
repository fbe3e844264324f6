"""Fixtures of the fault tests: the seed, and a line on the common broker or on one of its own."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from brokers import KafkaBroker

if TYPE_CHECKING:
    from test_registry import MemoryRegistry
    from the_line import TheLine

SMALL = 100
"""Records in a batch: a fault falls between many of them."""


@pytest.fixture(autouse=True)
def _bear_with_sockets(dropped_sockets: None) -> None:
    """Bear with the sockets that kafka-python drops when brokers go away, in every test here."""


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test; FAULT_SEED repeats one. A failing test shows it.

    In CI it is that of the test's name, as Hypothesis does it: what fails there fails again.
    """
    usual = crc32(request.node.nodeid.encode()) if "CI" in os.environ else random.randrange(1 << 32)  # noqa: S311
    chosen = int(os.environ.get("FAULT_SEED") or usual)
    print(f"FAULT_SEED={chosen}")  # noqa: T201 - shown when the test fails
    return chosen


@pytest.fixture
def line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> "Iterator[TheLine]":
    """A line with small batches on the broker that all tests share."""
    # kafka-python must not be imported before tests/conftest.py has set its warnings.
    from the_line import the_line  # noqa: PLC0415

    with the_line(kafka_bootstrap, topic_prefix, tmp_path, batch_records=SMALL) as made:
        yield made


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> "Iterator[MemoryRegistry]":
    """A schema registry in this process."""
    from test_registry import MemoryRegistry  # noqa: PLC0415 - as above

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with MemoryRegistry() as server:
        yield server


@pytest.fixture
def broker(make_broker: Callable[[], KafkaBroker]) -> KafkaBroker:
    """A broker of this test alone, started."""
    made = make_broker()
    made.start()
    return made


@pytest.fixture
def own_line(broker: KafkaBroker, topic_prefix: str, tmp_path: Path) -> "Iterator[TheLine]":
    """A line with small batches on a broker that the test may break."""
    from the_line import the_line  # noqa: PLC0415 - as above

    with the_line(broker.bootstrap, topic_prefix, tmp_path, batch_records=SMALL) as made:
        yield made
