"""State that is replayed, compacted, cut or gone: byte for byte what it was, or a loud stop."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from kafka.errors import PolicyViolationError
from kafka.structs import OffsetAndMetadata
from orchestra import await_lag, await_settled, exit_code
from the_line import TheLine, await_that, dump, the_line
from truth import fold_log, require_durable, require_truth, restored
from workload import LATER, SPAN, START, touches

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.continuity import StateLost
from streams.restore import restore_shards
from streams.store import Store
from streams.stores import Stores

pytestmark = pytest.mark.kafka
CHANGELOG = "profiles-changelog"


@contextmanager
def admin_of(line: TheLine) -> Iterator[Any]:
    """Connect to the broker as its administrator."""
    admin = KafkaAdminClient(bootstrap_servers=line.settings.bootstrap)
    try:
        yield admin
    finally:
        admin.close()


def configure(line: TheLine, kind: str, name: str, **configs: str) -> None:
    """Change configurations of a topic, or of the broker."""
    given = {key.replace("_", "."): value for key, value in configs.items()}
    with admin_of(line) as admin:
        admin.alter_configs([ConfigResource(kind, name, configs=given)])


def work_off(line: TheLine, **settings: Any) -> list[str]:
    """Let one worker do all that there is; return its dump."""
    with line.worker(**settings) as worker:
        await_settled([worker], len(line.read("touchpoints")))
        await_lag(line)
        return dump([worker])


@pytest.mark.nightly
def test_replay_from_zero_is_byte_identical(
    line: TheLine, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, seed: int
) -> None:
    """The same log, replayed by one worker and by three with other batches: the same bytes."""
    line.publish(touches(seed, 6_000))
    first = work_off(line)
    truth = fold_log(line)
    assert first == truth.profiles
    folder = tmp_path / "replay"
    with the_line(kafka_bootstrap, f"{topic_prefix}r-", folder, batch_records=70) as replay:
        copy_log(line, replay)
        with ExitStack() as running:
            fleet = [running.enter_context(replay.worker()) for _ in range(3)]
            await_lag(replay)
            await_settled(fleet, len(line.read("touchpoints")))
            assert dump(fleet) == first
        require_durable(replay, truth)


@pytest.mark.nightly
def test_a_worker_on_another_machine_needs_the_changelog_only(
    line: TheLine, tmp_path: Path, seed: int
) -> None:
    """Nothing on the disk of a worker counts: its folder is wiped, and another one goes on."""
    line.publish(touches(seed, 3_000))
    before = work_off(line)
    for file in line.folder.iterdir():
        file.unlink()
    assert work_off(line) == before
    line.publish(touches(seed + 1, 1_000, start=LATER))
    with line.worker() as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])


@pytest.mark.nightly
def test_a_compacted_changelog_gives_the_same_profiles(own_line: TheLine, seed: int) -> None:
    """The broker throws superseded rows away while workers write and recover: nothing differs."""
    line = own_line
    configure(line, "BROKER", "1", log_cleaner_backoff_ms="200")
    configure(
        line, "TOPIC", line.settings.topic(CHANGELOG),
        segment_ms="300", min_cleanable_dirty_ratio="0.001", segment_bytes="1048576",
    )  # fmt: skip
    line.publish(touches(seed, 4_000, people=100))
    work_off(line)
    line.publish(touches(seed + 1, 2_000, people=100, start=LATER))  # new segments close the old
    with line.worker() as worker:
        await_lag(line, most=1_000)
        worker.kill()
    await_that(lambda: 2 * len(line.read(CHANGELOG)) < end_of(line, CHANGELOG), "not compacted")
    with line.worker() as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])


@pytest.mark.nightly
def test_a_changelog_compacted_in_the_middle_of_a_recovery(
    own_line: TheLine, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows vanish behind and before the reader: what it comes to is whole, byte for byte."""
    line = own_line
    name = line.settings.topic(CHANGELOG)
    configure(line, "BROKER", "1", log_cleaner_backoff_ms="200")
    configure(
        line, "TOPIC", name, segment_ms="300", segment_bytes="1048576",
        min_compaction_lag_ms="3600000",
    )  # fmt: skip
    for part in range(3):  # new segments close the old ones
        line.publish(touches(seed + part, 2_000, people=100, start=START + part * SPAN))
        work_off(line)
    compactions: list[int] = []
    before = len(line.read(CHANGELOG))

    def compact() -> None:
        configure(line, "TOPIC", name, min_compaction_lag_ms="0", min_cleanable_dirty_ratio="0.001")
        await_that(lambda: 2 * len(line.read(CHANGELOG)) < before, "not compacted")

    async def getmany(consumer: Any, *places: Any, **given: Any) -> Any:
        found = await fetch(consumer, *places, **given)
        if found and not compactions:
            compactions.append(sum(map(len, found.values())))
            await asyncio.to_thread(compact)
        return found

    fetch = AIOKafkaConsumer.getmany
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    monkeypatch.setattr("streams.restore.FETCH_BYTES", 10_000)
    assert restored(line) == fold_log(line).profiles
    assert compactions[0] < before // 10, "all was read before the compaction"


def test_a_changelog_that_was_made_anew_stops_the_worker(line: TheLine, seed: int) -> None:
    """State is gone while the group's offsets are there: exit code 1, no action repeated."""
    line.publish(touches(seed, 2_000))
    work_off(line)
    actions = len(line.actions())
    with admin_of(line) as admin:
        admin.delete_topics([line.settings.topic(CHANGELOG)])
    await_gone(line, CHANGELOG)
    create_topics(
        line.settings.bootstrap, load_topics().values(),
        timestamps="event", prefix=line.settings.topic_prefix,
    )  # fmt: skip
    stops_with(line, "StateLost", "has lost rows")
    assert len(line.actions()) == actions


def test_a_changelog_that_was_cut_stops_the_worker(line: TheLine, seed: int) -> None:
    """A retention that it should not have has deleted its head: exit code 1, nothing served."""
    line.publish(touches(seed, 2_000))
    work_off(line)
    cut(line, CHANGELOG)
    stops_with(line, "StateLost", "profiles are missing")


@pytest.mark.nightly
def test_touchpoints_that_were_deleted_before_they_were_applied_stop_the_worker(
    line: TheLine, seed: int
) -> None:
    """Records that nobody has applied are gone from the log: exit code 1, not a silent jump."""
    line.publish(touches(seed, 500))
    work_off(line)
    line.publish(touches(seed + 1, 500, start=LATER))
    cut(line, "touchpoints")
    stops_with(line, "StateLost", "were deleted before")


@pytest.mark.nightly
def test_touchpoints_that_were_made_anew_stop_the_worker(line: TheLine, seed: int) -> None:
    """A new log under the old state: exit code 1, its first records are not taken for old ones."""
    line.publish(touches(seed, 500))
    work_off(line)
    with admin_of(line) as admin:
        admin.delete_topics([line.settings.topic("touchpoints")])
    await_gone(line, "touchpoints")
    create_topics(
        line.settings.bootstrap, load_topics().values(),
        timestamps="event", prefix=line.settings.topic_prefix,
    )  # fmt: skip
    stops_with(line, "StateLost")


def stops_with(line: TheLine, *words: str) -> None:
    """Start a worker; it must end by itself, with exit code 1 and these words."""
    with line.worker() as worker:
        assert exit_code(worker) == 1
    text = worker.log.read_text()
    assert all(word in text for word in words), text[-2000:]


def cut(line: TheLine, topic: str) -> None:
    """Delete all records of a topic but the last ones, as a short retention would."""
    name = line.settings.topic(topic)
    configure(line, "TOPIC", name, cleanup_policy="delete")
    with admin_of(line) as admin:
        ends = {TopicPartition(name, n): end - 20 for n, end in ends_of(line, topic).items()}
        wanted = {place: end for place, end in ends.items() if end > 0}

        def deleted() -> bool:
            try:
                admin.delete_records(wanted)
            except PolicyViolationError:  # the new policy is not in force yet
                return False
            return True

        await_that(deleted, "nothing may be deleted")


def ends_of(line: TheLine, topic: str) -> dict[int, int]:
    """Return the offset after the last record that is there, by partition."""
    return {record.partition: record.offset + 1 for record in line.read(topic)}


def end_of(line: TheLine, topic: str) -> int:
    """Return how many offsets the topic has used up, all partitions together."""
    return sum(ends_of(line, topic).values())


def await_gone(line: TheLine, topic: str) -> None:
    """Wait until the broker knows no such topic."""
    name = line.settings.topic(topic)
    with admin_of(line) as admin:
        await_that(lambda: name not in admin.list_topics(), f"{name} is still there")


def copy_log(line: TheLine, other: TheLine) -> None:
    """Copy the touchpoints of a line to another: the same bytes, times and partitions."""
    producer = KafkaProducer(bootstrap_servers=line.settings.bootstrap, linger_ms=20)
    try:
        for record in line.read("touchpoints"):
            producer.send(
                other.settings.topic("touchpoints"), record.value, record.key,
                partition=record.partition, timestamp_ms=record.timestamp,
            )  # fmt: skip
        producer.flush()
    finally:
        producer.close()


def test_what_another_worker_commits_during_a_recovery_is_no_loss(line: TheLine) -> None:
    """A partition that moved on while its state was read: the next rebalance sorts it out."""
    playbook = compile_playbook(find_playbook(line.settings.playbook))

    class Overtaken(Stores):
        def open(self, partition: int) -> Store:
            here = TopicPartition(line.settings.topic("touchpoints"), partition)
            other = KafkaConsumer(
                bootstrap_servers=line.settings.bootstrap,
                group_id=line.settings.group,
                enable_auto_commit=False,
            )
            other.assign([here])
            other.commit({here: OffsetAndMetadata(100, "", -1)})
            other.close()
            return super().open(partition)

    settings = line.settings.model_copy(update={"store": "memory"})
    asyncio.run(restore_shards(settings, playbook, {0}, {}, Overtaken(settings, playbook)))
    with pytest.raises(StateLost, match="has committed offset 100"):
        asyncio.run(restore_shards(settings, playbook, {0}, {}, Stores(settings, playbook)))
