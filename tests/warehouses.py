"""ClickHouse for the tests: inside the process, and where Docker is, a current server, too."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import TypeAlias
from uuid import uuid4

import pytest
from brokers import has_docker

from sinks.migrations import migrate
from sinks.warehouse import Warehouse, open_warehouse

IMAGE = "clickhouse/clickhouse-server:26.9"  # as docker-compose.yml has it, and chdb's engine
NewTables: TypeAlias = Callable[[], AbstractContextManager[Warehouse]]
_PASSWORD = "sesame"  # noqa: S105 - of a container that the tests throw away


@pytest.fixture(scope="session")
def clickhouse_container() -> Iterator[str]:
    """The URL of a server of its own for the session; skips where there is no Docker."""
    if not has_docker():
        pytest.skip("no Docker engine here to run a current ClickHouse server with")
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - needs Docker
    from testcontainers.core.wait_strategies import ExecWaitStrategy  # noqa: PLC0415 - as above

    asked = ["clickhouse-client", "--password", _PASSWORD, "--query", "SELECT 1"]
    container = DockerContainer(IMAGE).with_exposed_ports(9000)
    container = container.with_env("CLICKHOUSE_PASSWORD", _PASSWORD)
    with container.waiting_for(ExecWaitStrategy(asked)) as running:
        port = running.get_exposed_port(9000)
        yield f"clickhouse://default:{_PASSWORD}@{running.get_container_host_ip()}:{port}/"


@pytest.fixture
def container_database(clickhouse_container: str) -> Iterator[str]:
    """The URL of an empty database on the server, dropped afterwards."""
    with _database(clickhouse_container) as url:
        yield url


@pytest.fixture(scope="module", params=["embedded", *(["container"] if has_docker() else [])])
def new_tables(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NewTables:
    """Open new tables of the log, empty; in a process, one after the other."""

    @contextmanager
    def opened() -> Iterator[Warehouse]:
        with ExitStack() as stack:
            if request.param == "embedded":
                url = f"chdb://{tmp_path_factory.mktemp('tables')}"
            else:
                url = stack.enter_context(
                    _database(request.getfixturevalue("clickhouse_container"))
                )
            warehouse = stack.enter_context(closing(open_warehouse(url)))
            migrate(warehouse)
            yield warehouse

    return opened


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"t{uuid4().hex[:10]}"
    with closing(open_warehouse(f"{server}default")) as warehouse:
        warehouse.execute(f"CREATE DATABASE {name}")
        yield f"{server}{name}"
        warehouse.execute(f"DROP DATABASE {name} SYNC")
