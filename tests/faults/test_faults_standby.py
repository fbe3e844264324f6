"""Copies of other workers' profiles: who takes a partition over reads the changelog's tail only."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from orchestra import await_lag
from prometheus_client.parser import text_string_to_metric_families
from test_faults_state import CHANGELOG, admin_of, await_gone, cut, work_off
from test_faults_workers import load
from the_line import PATIENCE, TheLine, await_that
from truth import PARTITIONS, fold_log, require_truth
from workload import touches

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import dump as dump_profiles
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli.children import Child
from streams.cli.pages import PageError, read_json, read_lines
from streams.continuity import StateLost
from streams.disk_database import Database
from streams.metrics import WorkerMetrics
from streams.restore import restore_shards
from streams.standby import Standby
from streams.stores import Stores

pytestmark = pytest.mark.kafka
COPIED: dict[str, Any] = {"store": "rocksdb", "standbys": 1}
YOUNG = 3.0
"""Seconds after which a copy that is kept up was level once more."""


def samples(worker: Child, name: str) -> dict[int, float]:
    """Return the samples of a metric by their partition; none of a worker that does not answer."""
    try:
        text = "\n".join(read_lines(f"{worker.url}/metrics"))
    except PageError:
        return {}
    found = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {int(s.labels["partition"]): s.value for s in found if s.name == name}


def held(worker: Child) -> set[int]:
    """Return the partitions that a worker serves; none while it recovers."""
    try:
        return set(read_json(f"{worker.url}/health")["partitions"])
    except PageError:
        return set()


def shared_by(fleet: list[Child], copies: int = 1) -> bool:
    """Tell whether these workers serve all partitions, evenly, and keep all copies level."""
    shares = [held(worker) for worker in fleet]
    sizes = sorted(map(len, shares))
    ages = [
        age for worker in fleet for age in samples(worker, "touchline_standby_age_seconds").values()
    ]
    whole = sorted(each for share in shares for each in share) == sorted(PARTITIONS)
    return (
        whole
        and sizes[-1] - sizes[0] <= 1
        and len(ages) == copies * len(PARTITIONS)
        and max(ages) < YOUNG
    )


def changelog_ends(line: TheLine) -> dict[int, float]:
    """Return where each partition of the changelog ends."""
    topic = line.settings.topic(CHANGELOG)
    consumer = KafkaConsumer(bootstrap_servers=line.settings.bootstrap)
    try:
        ends = consumer.end_offsets([TopicPartition(topic, number) for number in PARTITIONS])
        return {tp.partition: float(end) for tp, end in ends.items()}
    finally:
        consumer.close()


def test_a_worker_with_a_copy_takes_over_with_the_tail(line: TheLine, seed: int) -> None:
    """One of two is killed: the other reads a row of each partition, of many; then both share."""
    touchpoints = list(touches(seed, 5_000))
    line.publish(touchpoints[:4_000])
    fleet = [line.worker(**COPIED) for _ in range(2)]
    with fleet[0] as first, fleet[1] as second:
        await_that(lambda: shared_by(fleet), "not shared")
        await_lag(line)
        copies = "touchline_standby_offset"
        await_that(
            lambda: samples(first, copies) | samples(second, copies) == changelog_ends(line),
            "not level",
        )
        ends = changelog_ends(line)
        first.kill()
        line.publish(touchpoints[4_000:])
        await_that(lambda: held(second) == PARTITIONS, "not taken over")
        await_lag(line)
        # Of each partition the ledger that the copy had last; of its own nothing.
        assert max(samples(second, "touchline_recovery_records").values()) <= 1
        assert min(ends.values()) > 500
        with first:
            await_that(lambda: shared_by(fleet), "not shared again")
            require_truth(line, fleet)


@pytest.mark.nightly
def test_owners_killed_under_load_are_taken_over_with_the_tail(line: TheLine, seed: int) -> None:
    """Three workers, three kills while records come in: each takeover reads a fifth at most."""
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    touchpoints = list(touches(seed, 18_000))
    line.publish(touchpoints[:12_000])
    fleet = [line.worker(**COPIED) for _ in range(3)]
    with ExitStack() as running:
        for worker in fleet:
            running.enter_context(worker)
        await_lag(line, most=500)
        with load(line, touchpoints[12_000:], 40):
            for _ in range(3):
                await_that(lambda: shared_by(fleet), "not shared")
                victim = random.choice(fleet)
                others = [worker for worker in fleet if worker is not victim]
                victim.kill()
                await_that(
                    lambda others=others: union(map(held, others)) == PARTITIONS, "not taken"
                )
                ends = changelog_ends(line)
                for worker in others:
                    for number, read in samples(worker, "touchline_recovery_records").items():
                        assert read < ends[number] / 5
                victim.__enter__()
        await_lag(line)
        await_that(lambda: shared_by(fleet), "not shared in the end")
        require_truth(line, fleet)


def union(sets: Any) -> set[int]:
    """Return what is in any of them."""
    return set().union(*sets)


@pytest.mark.nightly
def test_a_rolling_restart_with_copies_moves_nothing_and_reads_tails(
    line: TheLine, seed: int
) -> None:
    """Each worker is back within its session: it has its partitions and copies as before."""
    touchpoints = list(touches(seed, 9_000))
    line.publish(touchpoints[:6_000])
    fleet = [line.worker(instance=f"w{n}", session_timeout=25.0, **COPIED) for n in range(3)]
    with ExitStack() as running:
        for worker in fleet:
            running.enter_context(worker)
        await_lag(line)
        await_that(lambda: shared_by(fleet), "not shared")
        shares = [held(worker) for worker in fleet]
        with load(line, touchpoints[6_000:], 10):
            for worker in fleet:
                worker.__exit__(None, None, None)
                worker.__enter__()
                worker.wait_ready()
                ends, read = changelog_ends(line), samples(worker, "touchline_recovery_records")
                assert all(read[number] < ends[number] / 5 for number in read)
        await_lag(line)
        await_that(lambda: shared_by(fleet), "not shared again")
        assert [held(worker) for worker in fleet] == shares
        require_truth(line, fleet)


class Copying:
    """Copies in this process, and the folder that they are in."""

    def __init__(self, line: TheLine) -> None:
        self.settings = line.settings.model_copy(update=COPIED | {"data": str(line.folder / "c")})
        self.playbook = compile_playbook(find_playbook(self.settings.playbook))
        self.metrics = WorkerMetrics()
        self.stores = Stores(self.settings, self.playbook)
        self.standby = Standby(self.settings, self.stores, self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample of this process."""
        return self.metrics.registry.get_sample_value(name, labels)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what is waited for is a metric
                await asyncio.sleep(0.05)

    async def until_level(self, ends: dict[int, float]) -> None:
        """Wait until the copies of all partitions end where the changelog does."""
        await self.until(
            lambda: (
                ends == {n: self.value("touchline_standby_offset", partition=str(n)) for n in ends}
            )
        )

    async def profiles(self) -> list[str]:
        """Take over: return the canonical dump."""
        await self.standby.keep_only(set())
        shards = await restore_shards(self.settings, self.playbook, PARTITIONS, {}, self.stores)
        stores = [shard.store for shard in shards.values() if shard.store is not None]
        self.read = sum(shard.replayed for shard in shards.values())
        found = {p.user_id: p for store in stores for chunk in store.scan() for p in chunk}
        self.stores.close()
        return list(dump_profiles(found))


def test_a_copy_that_cannot_be_kept_stops_nothing_and_is_tried_again(
    line: TheLine, seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One folder is in use: a warning says so, the other copies are level; then it is, too."""
    monkeypatch.setattr("streams.standby.RETRY_SECONDS", 0.1)
    line.publish(touches(seed, 1_000))
    work_off(line)
    copying = Copying(line)
    failures = "touchline_standby_failures_total"

    async def run() -> list[str]:
        await copying.standby.keep_only(PARTITIONS)
        other = Database(copying.stores.folder / "0")
        copying.standby.follow()
        ends = changelog_ends(line)
        await copying.until_level({n: end for n, end in ends.items() if n != 0})
        await copying.until(lambda: (copying.value(failures) or 0) > 2)
        assert (copying.value("touchline_standby_age_seconds", partition="0") or 0) > 0.1
        other.close()
        await copying.until_level(ends)
        return await copying.profiles()

    with caplog.at_level("WARNING"):
        assert asyncio.run(run()) == fold_log(line).profiles
    assert copying.read == len(PARTITIONS)
    assert "the copy of partition 0 cannot be kept: StoreError: " in caplog.text
    assert copying.value("touchline_standby_age_seconds", partition="0") is None


@pytest.mark.nightly
def test_a_copy_of_a_cut_changelog_is_never_served(line: TheLine, seed: int) -> None:
    """It is level with what is left, which is not all: who takes over stops."""
    line.publish(touches(seed, 2_000))
    work_off(line)
    cut(line, CHANGELOG)
    copying = Copying(line)

    async def run() -> None:
        await copying.standby.keep_only(PARTITIONS)
        copying.standby.follow()
        await copying.until_level(changelog_ends(line))
        with pytest.raises(StateLost, match="profiles are missing"):
            await copying.profiles()

    asyncio.run(run())
    copying.stores.close()


@pytest.mark.nightly
def test_a_copy_of_a_changelog_that_was_made_anew_has_nothing_of_the_old(
    line: TheLine, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is kept: the topics are deleted, and other people come."""
    monkeypatch.setattr("streams.standby.RETRY_SECONDS", 0.5)
    line.publish(touches(seed, 1_000, people=50))
    work_off(line)
    copying = Copying(line)

    def anew() -> None:
        names = [line.settings.topic(name) for name in ("touchpoints", CHANGELOG)]
        with admin_of(line) as admin:
            admin.delete_topics(names)
        for name in ("touchpoints", CHANGELOG):
            await_gone(line, name)
        create_topics(
            line.settings.bootstrap, load_topics().values(),
            timestamps="event", prefix=line.settings.topic_prefix,
        )  # fmt: skip
        line.publish(touches(seed + 1, 1_500, people=90))
        with line.worker(group=f"{line.settings.group}-anew"):
            await_lag(line, group="-anew")

    async def run() -> list[str]:
        await copying.standby.keep_only(PARTITIONS)
        copying.standby.follow()
        await copying.until_level(changelog_ends(line))
        await asyncio.to_thread(anew)
        await copying.until_level(changelog_ends(line))
        copying.settings = copying.settings.model_copy(
            update={"group": f"{line.settings.group}-anew"}
        )
        return await copying.profiles()

    assert asyncio.run(run()) == fold_log(line).profiles
