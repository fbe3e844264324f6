"""A person with half of the traffic, and the parts that a worker can do without for a while."""

import socket
from pathlib import Path

import pytest
from orchestra import await_lag, committed, exit_code, publish_at
from test_registry import MemoryRegistry
from the_line import TheLine, the_line
from truth import require_truth
from workload import LATER, touches

from schemas.codec import Codec
from schemas.registry import Registry

pytestmark = pytest.mark.kafka
ASSIGNED = "Executing _on_partitions_assigned"


@pytest.mark.nightly
def test_a_person_with_half_of_the_traffic(line: TheLine, seed: int) -> None:
    """One key has half of the records: all is exact, and nobody is thrown out of the group."""
    line.publish(touches(seed, 8_000, hot=0.5))
    with line.worker() as first, line.worker() as second:
        first.wait_ready()
        second.wait_ready()
        joins = [worker.log.read_text().count(ASSIGNED) for worker in (first, second)]
        await_lag(line)
        require_truth(line, [first, second])
        assert joins == [worker.log.read_text().count(ASSIGNED) for worker in (first, second)]


def test_a_registry_that_is_down_holds_records_up_and_loses_none(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, registry: MemoryRegistry, seed: int
) -> None:
    """Without its answer a record is neither applied nor dead: exit code 1 until it is back."""
    encode = Codec(Registry(registry.url)).encode_touchpoint
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, batch_records=100, registry=registry.url
    ) as line:
        publish_at(line, [(each.occurred_at, each, encode) for each in touches(seed, 800)])
        registry.answer = (503, b"{}")
        with line.worker() as worker:
            assert exit_code(worker) == 1
        assert "RegistryUnavailable" in worker.log.read_text()
        assert "answers 503" in worker.log.read_text()
        assert set(committed(line).values()) == {0}
        registry.answer = None
        with line.worker() as worker:
            await_lag(line)
            registry.answer = (503, b"{}")  # what the worker has learned holds
            line.publish(touches(seed + 1, 300, start=LATER))
            await_lag(line)
            registry.answer = None
            truth = require_truth(line, [worker])
    assert truth.dead == []


@pytest.mark.nightly
def test_a_metrics_port_that_is_taken_stops_the_start_and_not_the_line(
    line: TheLine, seed: int
) -> None:
    """A worker that nobody could watch does not start; the others do its work."""
    line.publish(touches(seed, 1_000))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with line.worker(web_port=taken.getsockname()[1]) as blind:
            assert exit_code(blind) == 1
    with line.worker() as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])
