"""Fixtures that many tests share: the brokers."""

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from brokers import KafkaBroker, choose_kafka, kafka, new_broker
from hypothesis import settings
from hypothesis.internal.conjecture.engine import ConjectureRunner

if TYPE_CHECKING:
    from the_line import TheLine

pytest_plugins = ["warehouses"]

# No deadline: how long an example takes says more about the machine's load than about us. Here,
# because a property takes the profile that is there when its module is read.
settings.register_profile("touchline", deadline=None, print_blob=True)
settings.load_profile("touchline")

_KAFKA = pytest.StashKey[str]()
_NAMES = {
    "given": "the broker of KAFKA_BOOTSTRAP",
    "docker": "a container (testcontainers)",
    "maven": "a local broker (deploy/kafka/kafka.py)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests that take minutes be asked for: they are left out whatever ``-m`` says."""
    told = "run the tests that are marked nightly, too"
    parser.addoption("--nightly", action="store_true", help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the Kafka of this run."""
    # kafka-python reads its schemas in a way that Python 3.11 deprecates and 3.13 takes back.
    ignored = "ignore:(read|open)_text is deprecated:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored)
    config.stash[_KAFKA] = choose_kafka()


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Kafka the tests use."""
    return f"kafka: {_NAMES[config.stash[_KAFKA]]}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is nightly; keep together in one process what shares a module's fixture."""
    if not config.getoption("--nightly"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if item not in nightly]
        config.hook.pytest_deselected(items=nightly)
    for item in items:
        assert isinstance(item, pytest.Function)
        definitions = item._fixtureinfo.name2fixturedefs.values()
        if any(each.scope == "module" for every in definitions for each in every):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """The address of a real Kafka for the whole session; do not stop it."""
    with kafka(pytestconfig.stash[_KAFKA]) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    """The address of an embedded broker for the tests of a module."""
    # kafka-python must not be imported before the warnings above are set.
    from streams.embedded import EmbeddedBroker  # noqa: PLC0415

    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """The address of each kind of broker in turn."""
    return str(request.getfixturevalue({"kafka": "kafka_bootstrap"}.get(request.param, "embedded")))


@pytest.fixture
def topic_prefix() -> str:
    """What to put before a topic's or a group's name, for this test alone."""
    return f"t{uuid4().hex[:10]}-"


@pytest.fixture
def line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> "Iterator[TheLine]":
    """A line with topics of its own, as it is by default."""
    from the_line import the_line  # noqa: PLC0415 - as above

    with the_line(kafka_bootstrap, topic_prefix, tmp_path) as made:
        yield made


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[[], KafkaBroker]]:
    """Make Kafka brokers that the test may start, stop, kill, suspend and start again."""
    brokers: list[KafkaBroker] = []

    def make() -> KafkaBroker:
        brokers.append(new_broker(tmp_path / f"kafka-{len(brokers)}"))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def dropped_sockets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Bear with kafka-python, which leaves the socket of each refused connection unclosed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        # Captured log records would keep its errors, and with them the sockets, past the test.
        with caplog.at_level(logging.CRITICAL, logger="kafka"):
            yield
        gc.collect()


@pytest.fixture
def unlike() -> Iterator[None]:
    """Have Hypothesis draw every example anew.

    Else five of six are an earlier one with some part copied over another: fine for small values,
    but a thousand histories would be those of some two hundred people.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None)
        yield
