"""A broker that restarts, dies or falls silent: the line goes on where it was.

A worker may ride it out or end with exit code 1; then it is started again, as an orchestrator
would do it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from brokers import KafkaBroker, new_cluster
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from orchestra import Orchestrator, are_settled, await_lag
from the_line import TheLine, await_that, the_line
from truth import fold_log, require_truth
from workload import touches

from streams.delivery import NotTaken, TransactionalDelivery
from streams.settings import Settings

pytestmark = pytest.mark.kafka


def break_the_broker(line: TheLine, seed: int, *faults: object, events: int = 6_000) -> None:
    """Let two workers work a backlog off, with these faults in the middle of it."""
    line.publish(touches(seed, events))
    truth = fold_log(line)
    fleet = [line.worker(), line.worker()]
    with ExitStack() as running:
        for worker in fleet:
            running.enter_context(worker)
        for number, fault in enumerate(faults):
            await_lag(line, fleet, most=events * (len(faults) - number) // (len(faults) + 1))
            fault()
        await_lag(line, fleet)
        orchestrator = Orchestrator(fleet)

        def settled() -> bool:
            orchestrator.look()
            return are_settled(fleet, events)

        await_that(settled, "the workers do not come to rest")
        require_truth(line, fleet, truth)


@pytest.mark.nightly
def test_a_broker_that_restarts(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker stops in order and comes back."""
    break_the_broker(own_line, seed, broker.restart)


def test_a_broker_that_dies(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker is killed and comes back: what it had acknowledged is there."""

    def crash() -> None:
        broker.kill()
        broker.start()

    break_the_broker(own_line, seed, crash)


@pytest.mark.nightly
def test_a_broker_that_falls_silent(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker answers nothing for longer than the session, with connections open."""
    break_the_broker(own_line, seed, lambda: silence(broker, 6))


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_broker_that_is_away_for_a_minute(
    own_line: TheLine, broker: KafkaBroker, seed: int
) -> None:
    """60 s of silence, then 30 s without a broker, then a crash: longer than every time-out."""

    def absence() -> None:
        broker.stop()
        time.sleep(30)
        broker.start()

    def crash() -> None:
        broker.kill()
        broker.start()

    break_the_broker(own_line, seed, lambda: silence(broker, 60), absence, crash, events=20_000)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[KafkaBroker]]:
    """Three brokers: each record on all of them, acknowledged when two have it."""
    brokers = new_cluster(tmp_path)
    try:
        for broker in brokers:
            broker.start(wait=False)
        for broker in brokers:
            broker.wait_ready()
        yield brokers
    finally:
        for broker in brokers:
            broker.kill()


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_leader_of_a_partition_dies_under_load(
    cluster: list[KafkaBroker], topic_prefix: str, tmp_path: Path, seed: int
) -> None:
    """Two of three brokers go on without it; it comes back, and the next leader dies."""
    bootstrap = ",".join(broker.bootstrap for broker in cluster)
    with the_line(bootstrap, topic_prefix, tmp_path, batch_records=100) as line:

        def lose_the_leader() -> None:
            for broker in cluster:
                broker.start()
            leader = leader_of(line, "touchpoints", 0)
            cluster[leader - 1].kill()
            assert leader_of(line, "touchpoints", 0, other_than=leader) != leader

        break_the_broker(line, seed, lose_the_leader, lose_the_leader, events=12_000)


def leader_of(line: TheLine, topic: str, partition: int, other_than: int = -1) -> int:
    """Wait for a leader of this partition; return the number of its broker."""
    leaders: list[int] = []

    def known() -> bool:
        leaders.append(ask_leader(line, topic, partition))
        return leaders[-1] not in {-1, other_than}

    await_that(known, "no leader")
    return leaders[-1]


def ask_leader(line: TheLine, topic: str, partition: int) -> int:
    """Return the number of the broker that leads this partition, -1 where nobody can tell."""
    admin = KafkaAdminClient(bootstrap_servers=line.settings.bootstrap.split(","))
    try:
        (described,) = admin.describe_topics([line.settings.topic(topic)])
    except KafkaError:
        return -1  # the broker that was asked is the one that died
    finally:
        admin.close()
    leaders = {p["partition_index"]: p["leader_id"] for p in described["partitions"]}
    return int(leaders[partition])


def test_partitions_that_cannot_be_taken_in_time_are_named(broker: KafkaBroker) -> None:
    """A worker does not wait for ever for brokers that do not finish old transactions."""

    async def take() -> None:
        delivery = TransactionalDelivery(Settings(bootstrap=broker.bootstrap), patience=1.0)
        try:
            await delivery.take({0, 3})
        finally:
            await delivery.stop()

    broker.suspend()
    try:
        with pytest.raises(NotTaken, match=r"partitions \[0, 3\] .* Are all of them up"):
            asyncio.run(take())
    finally:
        broker.resume()


def silence(broker: KafkaBroker, seconds: float) -> None:
    """Let the broker answer nothing for so long."""
    broker.suspend()
    time.sleep(seconds)
    broker.resume()
