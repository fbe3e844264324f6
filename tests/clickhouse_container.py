"""A current ClickHouse server in a container, for the tests that both adapters must pass.

PYTEST_DONT_REWRITE: the tests import this module before pytest knows it as a plugin.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from sinks.warehouse import open_warehouse

IMAGE = "clickhouse/clickhouse-server:26.9"  # as docker-compose.yml has it, and chdb's engine
_PASSWORD = "sesame"  # noqa: S105 - of a container that the tests throw away


@pytest.fixture(scope="session")
def clickhouse_container() -> Iterator[str]:
    """The URL of a server of its own for the session; skips where there is no Docker."""
    # In a process of its own: a failed attempt leaves a socket to the garbage collector.
    ping = "import docker; docker.from_env(timeout=5).ping()"
    if subprocess.run([sys.executable, "-c", ping], capture_output=True, check=False).returncode:
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
    with closing(open_warehouse(f"{clickhouse_container}default")) as warehouse:
        warehouse.execute("CREATE DATABASE tested")
        yield f"{clickhouse_container}tested"
        warehouse.execute("DROP DATABASE tested SYNC")
