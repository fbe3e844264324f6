"""What a worker leaves behind when it is killed, stopped or joined: nothing lost, nothing new."""

import itertools
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from the_line import PATIENCE, TheLine, account, await_account, await_that, dump, the_line

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import dump as dump_profiles
from schemas.records import Touchpoint
from streams.broken import broken_records
from streams.cdnow import read_purchases, to_touchpoints
from streams.cli.children import Child
from streams.cli.pages import read_lines

PURCHASES = 24_000
BACKLOG = 16_000
"""So many are published before a fault, the others after it: however fast the worker is, something
is left to do."""
BROKEN = len(broken_records())
WOKEN = ("ProducerFenced", "Joined group")  # what a worker says that finds its partitions gone
pytestmark = pytest.mark.kafka


@pytest.fixture
def line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TheLine]:
    """A line whose worker commits often, so that a fault falls between many small batches."""
    with the_line(kafka_bootstrap, topic_prefix, tmp_path, batch_records=200) as made:
        yield made


@pytest.fixture(scope="module")
def purchases() -> list[Touchpoint]:
    """The first purchases of the file, in order of time."""
    touchpoints = to_touchpoints(read_purchases(), date(2025, 6, 30))
    return list(itertools.islice(touchpoints, PURCHASES))


def folded(touchpoints: list[Touchpoint]) -> tuple[list[str], set[str]]:
    """Return the dump and the action ids of the pure fold: the oracle."""
    partition = Partition(compile_playbook(find_playbook("second-purchase")), {})
    effects = partition.apply((each, each.occurred_at) for each in touchpoints)
    return list(dump_profiles(partition.profiles)), {each.action_id for each in effects.actions}


def publish_broken(line: TheLine) -> None:
    """Publish one record of each kind of damage."""
    with line.publisher() as publisher:
        for record in broken_records():
            publisher.publish_raw(record.key, record.value)


def await_lag_of(worker: Child, partitions: int) -> None:
    """Wait until it tells the lag of so many partitions: of its own, not of those it gave back."""
    await_that(
        lambda: count_lags(worker) == partitions,
        lambda: f"the lag of {count_lags(worker)} partitions",
    )


def count_lags(worker: Child) -> int:
    """Return of how many partitions it tells the lag."""
    lines = read_lines(f"{worker.url}/metrics")
    return sum(line.startswith("touchline_lag_records{") for line in lines)


def count_words(worker: Child, *words: str) -> int:
    """Return how often its log has these words."""
    text = worker.log.read_text()
    return sum(text.count(word) for word in words)


def await_progress(worker: Child, least: int) -> None:
    """Wait until the worker has done so much of its work."""
    deadline = time.monotonic() + PATIENCE
    while not least <= (done := sum(account([worker]).values())):
        assert time.monotonic() < deadline, done
        time.sleep(0.01)


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_killed_worker_comes_back_to_the_same_profiles_and_actions(
    line: TheLine, purchases: list[Touchpoint], store: str
) -> None:
    """SIGKILL in the middle, twice: profiles are the oracle's, and each action is there once."""
    kept: dict[str, Any] = {"store": store, "cache_profiles": 100}
    line.publish(purchases[: PURCHASES // 4])
    publish_broken(line)
    line.publish(purchases[PURCHASES // 4 : BACKLOG])
    for least in (3_000, 10_000):
        with line.worker(**kept) as worker:
            worker.wait_ready()
            await_progress(worker, least)
            worker.kill()
    line.publish(purchases[BACKLOG:])
    with line.worker(**kept) as worker:
        worker.wait_ready()
        found = await_account([worker], PURCHASES + BROKEN)
        profiles = dump([worker])
    expected_profiles, expected_ids = folded(purchases)
    assert found == {"applied": PURCHASES, "duplicate": 0, "late": 0, "dead": BROKEN}
    assert profiles == expected_profiles
    assert sorted(action.action_id for action in line.actions()) == sorted(expected_ids)
    assert len(line.dead_letters()) == BROKEN


def test_a_worker_that_wakes_up_after_its_partitions_moved_can_write_nothing(
    line: TheLine, purchases: list[Touchpoint]
) -> None:
    """SIGSTOP past the session timeout, another takes over, SIGCONT: nothing twice, nothing old."""
    line.publish(purchases[:BACKLOG])
    with line.worker() as stalled:
        stalled.wait_ready()
        await_progress(stalled, 2_000)
        stalled.suspend()
        line.publish(purchases[BACKLOG:])
        with line.worker() as other:
            other.wait_ready()
            await_account([other], PURCHASES)
            before = count_words(stalled, *WOKEN)
            stalled.resume()
            await_that(
                lambda: count_words(stalled, *WOKEN) > before,
                lambda: stalled.log.read_text()[-2000:],
            )
            time.sleep(2)  # whatever it still had in hand goes out now, if it can
    with line.worker() as last:
        last.wait_ready()
        await_account([last], PURCHASES)
        profiles = dump([last])
    expected_profiles, expected_ids = folded(purchases)
    assert profiles == expected_profiles
    assert sorted(action.action_id for action in line.actions()) == sorted(expected_ids)


def test_a_stopped_worker_repeats_nothing(line: TheLine, purchases: list[Touchpoint]) -> None:
    """SIGTERM in the middle finishes and commits the batch: each action and dead letter is once."""
    line.publish(purchases[: PURCHASES // 2])
    publish_broken(line)
    line.publish(purchases[PURCHASES // 2 : BACKLOG])
    with line.worker() as worker:
        worker.wait_ready()
        await_progress(worker, 5_000)
    line.publish(purchases[BACKLOG:])
    with line.worker() as worker:
        worker.wait_ready()
        await_account([worker], PURCHASES + BROKEN)
        profiles = dump([worker])
    expected_profiles, expected_ids = folded(purchases)
    assert profiles == expected_profiles
    assert sorted(action.action_id for action in line.actions()) == sorted(expected_ids)
    assert len(line.dead_letters()) == BROKEN


def test_workers_that_join_and_leave_share_the_partitions(
    line: TheLine, purchases: list[Touchpoint]
) -> None:
    """A second worker takes over partitions with their state, and gives them back."""
    line.publish(purchases[:BACKLOG])
    with line.worker() as first:
        first.wait_ready()
        await_progress(first, 2_000)
        await_lag_of(first, 4)
        with line.worker() as second:
            second.wait_ready()
            line.publish(purchases[BACKLOG:])
            await_account([first, second], 20_000)
            await_lag_of(first, 2)
        found = await_account([first], PURCHASES)
        profiles = dump([first])
    expected_profiles, expected_ids = folded(purchases)
    assert found["applied"] == PURCHASES
    assert profiles == expected_profiles
    assert {action.action_id for action in line.actions()} == expected_ids


def test_the_first_record_of_a_partition_is_committed(
    line: TheLine, purchases: list[Touchpoint]
) -> None:
    """One record alone, at offset 0, moves the committed offset to 1."""
    line.publish(purchases[:1])
    (record,) = line.read("touchpoints")
    with line.worker() as worker:
        worker.wait_ready()
        await_account([worker], 1)
    consumer = KafkaConsumer(
        bootstrap_servers=line.settings.bootstrap, group_id=line.settings.group
    )
    try:
        place = TopicPartition(record.topic, record.partition)
        # Seen a moment after the commit's answer.
        await_that(lambda: consumer.committed(place) == 1, lambda: str(consumer.committed(place)))
    finally:
        consumer.close()
