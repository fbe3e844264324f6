"""Workers that come, go and are killed while records come in: nothing lost, nothing twice."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions
from orchestra import Program, await_lag, committed, exit_code, group_reader
from the_line import TheLine, await_account, await_that
from truth import fold_log, require_truth
from workload import touches

from schemas.records import Touchpoint
from schemas.shipped import shipped
from schemas.topics import load_topics
from streams.cli import cli
from streams.cli.children import Child
from streams.cli.pages import PageError, read_json

pytestmark = pytest.mark.kafka
ASSIGNED = "Executing _on_partitions_assigned"  # what Faust logs at each rebalance


@contextmanager
def load(line: TheLine, touchpoints: list[Touchpoint], seconds: float) -> Iterator[None]:
    """Publish at an even pace for so many seconds, and all of it before the block ends."""

    def run() -> None:
        with line.publisher() as publisher:
            for start in range(0, len(touchpoints), 200):
                for each in touchpoints[start : start + 200]:
                    publisher.publish(each)
                publisher.flush()
                time.sleep(seconds * 200 / len(touchpoints))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_workers_two_three_one_under_load(line: TheLine, seed: int) -> None:
    """Two workers, a third one joins, two leave, all while records come in."""
    touchpoints = list(touches(seed, 10_000))
    with line.worker() as first, ExitStack() as leaving:
        with load(line, touchpoints, 10):
            second = leaving.enter_context(line.worker())
            second.wait_ready()
            third = leaving.enter_context(line.worker())
            third.wait_ready()
            leaving.close()
        await_lag(line)
        require_truth(line, [first])


def test_a_rolling_restart_with_static_ids_moves_no_partition(line: TheLine, seed: int) -> None:
    """Each worker in turn stops and is back within the session: the others keep what they have."""
    touchpoints = list(touches(seed, 6_000))
    workers = [line.worker(instance=f"w{n}", session_timeout=60.0) for n in range(2)]
    with ExitStack() as running:
        for worker in workers:
            running.enter_context(worker)
        for worker in workers:
            worker.wait_ready()
        await_that(lambda: [*map(share, workers)] == [2, 2], "the partitions are not shared")
        before = [worker.log.read_text().count(ASSIGNED) for worker in workers]
        with load(line, touchpoints, 10):
            for worker in workers:
                worker.__exit__(None, None, None)
                worker.__enter__()
                worker.wait_ready()
        await_lag(line)
        after = [worker.log.read_text().count(ASSIGNED) for worker in workers]
        assert after == [times + 1 for times in before]  # that of its own restart
        require_truth(line, workers)


def share(worker: Child) -> int:
    """Return how many partitions a worker has that is well."""
    try:
        return len(read_json(f"{worker.url}/health")["partitions"])
    except PageError:
        return 0


def test_who_takes_for_an_assignment_that_is_gone_fences_nobody(
    line: TheLine, seed: int, tmp_path: Path
) -> None:
    """A worker is slow to take all partitions; two of them go to another, who keeps its two."""
    signal = tmp_path / "take"
    slow, quick = Program(line, "slow_taker", str(signal)), line.worker()
    with slow:
        await_that(lambda: ASSIGNED in slow.log.read_text(), "nothing is assigned")
        with quick:
            quick.wait_ready()
            signal.touch()
            slow.wait_ready()
            line.publish(touches(seed, 2_000))
            await_lag(line)
            for worker in (slow, quick):
                worker.check()
            require_truth(line, [slow, quick])


@pytest.mark.nightly
def test_a_new_playbook_after_a_crash_finds_each_record_applied_once(
    line: TheLine, seed: int, tmp_path: Path
) -> None:
    """A worker is killed in a batch; one with the next version of the playbook goes on."""
    line.publish(touches(seed, 8_000))
    upgraded = tmp_path / "upgraded.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    upgraded.write_text(
        text.replace("version: 1", "version: 2").replace("free_shipping", "ten_percent")
    )
    with line.worker() as worker:
        await_lag(line, most=5_000)
        worker.kill()
    time.sleep(1)  # a commit that the broker has begun ends now, any other batch has failed
    switch = committed(line)
    with line.worker(playbook=str(upgraded)) as worker:
        await_lag(line)
        truth = fold_log(line, upgrade=(str(upgraded), switch))
        require_truth(line, [worker], truth)
    offers = {action.params["offer"] for action in line.actions()}
    assert offers == {"free_shipping", "ten_percent"}


@pytest.mark.nightly
def test_workers_killed_at_random_lose_nothing(line: TheLine, seed: int) -> None:
    """Three kills at random moments, wherever in a transaction they fall."""
    kill_at_random(line, seed, events=12_000, kills=3)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_twenty_kills_over_300_000_events(line: TheLine, seed: int) -> None:
    """The long run: two workers, at least 20 kills, 0 lost, 0 twice."""
    kill_at_random(line, seed, events=300_000, kills=20, workers=2, batch_records=500)


def kill_at_random(
    line: TheLine, seed: int, *, events: int, kills: int, workers: int = 1, batch_records: int = 100
) -> None:
    """Publish all, then kill one of the workers again and again while they work it off."""
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    line.publish(touches(seed, events, people=max(400, events // 30)))
    fleet = [line.worker(batch_records=batch_records) for _ in range(workers)]
    done = 0
    with ExitStack() as running, group_reader(line) as lag:
        for worker in fleet:
            running.enter_context(worker)
        for number in range(kills):
            # Each kill has its share of the backlog to fall into.
            left = events * (kills - number) // (kills + 1)
            await_that(lambda left=left: lag() <= left + events // (kills + 1) // 2, "no progress")
            time.sleep(random.uniform(0, 0.2))
            victim = random.choice(fleet)
            behind = lag()
            victim.kill()
            victim.__enter__()
            done += behind > 0
        await_lag(line, fleet)
        for worker in fleet:
            worker.wait_ready()
        await_lag(line)
        assert done == kills, "the workers were faster than the kills"
        require_truth(line, fleet)


@pytest.mark.parametrize("instance", ["", "named"])
def test_a_partition_that_is_added_stops_the_line(line: TheLine, seed: int, instance: str) -> None:
    """People would be in others than their profiles: the worker ends, and says what to read.

    One without a name is given the new partition, one with a name hears nothing of it.
    """
    events = line.publish(touches(seed, 200))
    topic, declared = line.settings.topic("touchpoints"), load_topics()["touchpoints"].partitions
    with Program(line, "attentive_worker", instance=instance) as worker:
        await_account([worker], events)
        with KafkaAdminClient(bootstrap_servers=line.settings.bootstrap) as client:
            client.create_partitions({topic: NewPartitions(declared + 1)})
        assert exit_code(worker) == 1
    assert "Partitions were added" in worker.log.read_text()
    where = ("--bootstrap", line.settings.bootstrap, "--topic-prefix", line.settings.topic_prefix)
    verified = CliRunner().invoke(cli, ["verify", "--log-only", *where])
    assert f"partitions {declared + 1}" in f"{verified.output}{verified.exception}"
