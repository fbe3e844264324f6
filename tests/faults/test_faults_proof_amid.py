"""The proof while things go on around it, and at the edges of what it can hold."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from orchestra import await_lag
from proving import Rows, forget, ordered, with_value, write
from the_line import TheLine, the_line
from workload import DAY, START, touches

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.shipped import shipped
from streams import prove_partition, prove_requests
from streams.log_places import LogReader
from streams.prove import Proof
from streams.prove import prove as run
from streams.replay import NotProvableError

pytestmark = pytest.mark.kafka


def prove(line: TheLine) -> Proof:
    """Prove a line, in this process."""
    playbook = compile_playbook(find_playbook(line.settings.playbook))
    return asyncio.run(run(line.settings, [playbook], lambda _: None))


def test_a_great_date_and_a_great_backlog_are_no_other_playbook(
    line: TheLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are due at once, and more is not applied, than may wait in memory."""
    people = 600
    line.publish(ordered(user, START) for user in range(people))
    line.publish([ordered(people + more, START + 31 * DAY) for more in range(12)])
    with line.worker():
        await_lag(line)
    line.publish(ordered(people + more, START + 32 * DAY) for more in range(12, 400))
    requested = len(line.actions())
    assert requested == people
    monkeypatch.setattr(prove_requests, "WAITING", 60)
    monkeypatch.setattr(prove_requests, "AHEAD", 30)
    monkeypatch.setattr(prove_partition, "AT_ONCE", 10)
    proof = prove(line)
    assert proof.findings == []
    assert (proof.total().actions, proof.total().behind) == (people, 388)


def test_an_event_from_the_near_future_asks_for_nothing_too_early(line: TheLine) -> None:
    """In a line on event time the broker's clock says nothing about the stream's."""
    soon = int(time.time() * 1000) + 30 * 60_000
    line.publish(ordered(user, soon) for user in range(20))
    with line.worker():
        await_lag(line)
    proof = prove(line)
    assert proof.findings == []
    assert proof.total().facts >= 20


@pytest.mark.nightly
def test_a_playbook_that_changes_meanwhile_is_named_as_the_cause(
    line: TheLine, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker takes over between the changelog and the topics: no finding, but: once more."""
    upgraded = tmp_path / "upgraded.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    upgraded.write_text(text.replace("version: 1", "version: 2"))
    line.publish(touches(seed, 400))
    with line.worker():
        await_lag(line)
    line.publish(touches(seed + 1, 400, start=START + 200 * DAY))
    catch_up = prove_partition.catch_up
    changes = [str(upgraded)]

    async def slowly(*given: Any) -> Any:
        contents = await catch_up(*given)
        while changes:
            with line.worker(playbook=changes.pop()):
                await asyncio.to_thread(await_lag, line)
        return contents

    monkeypatch.setattr(prove_partition, "catch_up", slowly)
    with pytest.raises(NotProvableError, match="began to follow another playbook while this"):
        prove(line)


def test_retention_may_delete_meanwhile(
    line: TheLine, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the facts go after their first offset was asked for, and before they are read."""
    line.publish(touches(seed, 800))
    with line.worker():
        await_lag(line)
    there = [row for row in line.read("facts") if row.partition == 0]
    half = there[len(there) // 2].offset
    reach, deleted = LogReader.reach, []

    async def once(self: LogReader, topic: str, partitions: Any) -> Any:
        found = await reach(self, topic, partitions)
        if topic == line.settings.topic("facts") and not deleted:
            deleted.append(topic)
            await asyncio.to_thread(forget, line, "facts", half)
        return found

    monkeypatch.setattr(LogReader, "reach", once)
    proof = prove(line)
    assert proof.findings == []
    assert proof.partitions[0].forgotten == sum(row.offset < half for row in there)


@pytest.mark.nightly
def test_a_transaction_may_end_later_on_one_topic_than_on_another(
    line: TheLine, seed: int, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changelog has it already; the last facts are there when they are looked for again."""
    rows = work(line, seed)
    *early, last = rows["facts"]
    with the_line(line.settings.bootstrap, f"{topic_prefix}t-", tmp_path / "t") as copy:
        write(copy, rows | {"facts": early})
        facts, looks = copy.settings.topic("facts"), 0
        with KafkaProducer(
            bootstrap_servers=line.settings.bootstrap, transactional_id=topic_prefix
        ) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(facts, last.value, last.key, partition=0)
            producer.flush()
            reach = LogReader.reach

            async def looked(self: LogReader, topic: str, partitions: Any) -> Any:
                nonlocal looks
                looks += topic == facts and list(partitions) == [0]
                if looks == 3:
                    await asyncio.to_thread(producer.commit_transaction)
                    looks += 1
                return await reach(self, topic, partitions)

            monkeypatch.setattr(LogReader, "reach", looked)
            proof = prove(copy)
    assert looks > 3
    assert proof.findings == []
    assert proof.total().facts == len(rows["facts"])


def test_a_damaged_changelog_is_one_plain_error(
    line: TheLine, seed: int, topic_prefix: str, tmp_path: Path
) -> None:
    """It says where, and what puts it right; be it a profile that is torn, or the ledger."""
    rows = work(line, seed)
    for broken in ("profile", "ledger"):
        changelog = [
            with_value(row, row.value[:-3]) if (row.key == b"") == (broken == "ledger") else row
            for row in rows["profiles-changelog"]
        ]
        with the_line(
            line.settings.bootstrap, f"{topic_prefix}{broken}-", tmp_path / broken
        ) as copy:
            write(copy, rows | {"profiles-changelog": changelog})
            with pytest.raises(NotProvableError, match=r"0: changelog row of .* puts it right$"):
                prove(copy)


def work(line: TheLine, seed: int) -> dict[str, Rows]:
    """Return what a healthy line has written, by topic, partition 0 alone."""
    line.publish(touches(seed, 200))
    with line.worker():
        await_lag(line)
    names = ("touchpoints", "facts", "actions.message", "profiles-changelog")
    return {name: [row for row in line.read(name) if row.partition == 0] for name in names}
