"""The proof: green after every mishap of a line; and each thing that is not so, it names."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace
from orchestra import Program, await_lag, await_settled, exit_code
from proving import Rows, forget, ordered, with_value, write
from the_line import TheLine, the_line
from truth import fold_log
from workload import DAY, SPAN, START, touches

from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.profile import decode, encode
from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.apply import TIMERS_AT_ONCE
from streams.broken import broken_records
from streams.embedded import EmbeddedBroker
from streams.prove import prove as run
from streams.rows import HEAD_BYTES, is_person

pytestmark = pytest.mark.kafka
ACTIONS, CHANGELOG = "actions.message", "profiles-changelog"


def prove(line: TheLine, *arguments: str) -> tuple[int, Any]:
    """Run ``touchline prove``; return its exit code and what it found, or what it says."""
    command = [sys.executable, "-m", "streams", "prove", "--json", *arguments]
    environment = line.settings.to_environ()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def total(proof: Any, name: str) -> int:
    """Return a figure of all partitions."""
    return sum(partition[name] for partition in proof["partitions"])


def test_a_line_that_is_killed_and_goes_on_is_proven_at_any_moment(
    line: TheLine, seed: int
) -> None:
    """While a worker is killed and others go on: nothing is wrong. At the end: all of the log."""
    events = list(touches(seed, 6_000))
    line.publish([*events, *events[-50:]])
    with line.publisher() as publisher:
        for each in broken_records():
            publisher.publish_raw(each.key, each.value)
    with line.worker() as worker:
        await_lag(line, most=4_000)
        worker.kill()
    code, amid = prove(line)
    assert (code, amid["findings"]) == (0, [])
    assert total(amid, "behind") > 0
    with ExitStack() as running:
        workers = [running.enter_context(line.worker()) for _ in range(2)]
        workers[0].wait_ready()
        code, moving = prove(line)
        assert (code, moving["findings"]) == (0, [])
        await_lag(line)
        await_settled(workers, len(line.read("touchpoints")))
        code, proof = prove(line)
    assert (code, proof["ok"], proof["findings"]) == (0, True, [])
    truth = fold_log(line)
    said = {name: total(proof, name) for name in ("people", "actions", "facts")}
    asked = [len(each) for each in (truth.profiles, truth.actions, truth.facts)]
    assert list(said.values()) == asked
    assert total(proof, "touchpoints") == len(line.read("touchpoints"))
    rest = ("behind", "in_hand", "repeated", "forgotten")
    assert {name: total(proof, name) for name in rest} == dict.fromkeys(rest, 0)


def test_each_change_of_the_playbook_is_followed(line: TheLine, seed: int, tmp_path: Path) -> None:
    """A second version from the middle of the log on, and the first again: both must be given."""
    upgraded = tmp_path / "upgraded.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    upgraded.write_text(
        text.replace("version: 1", "version: 2").replace("free_shipping", "ten_percent")
    )
    for lap, playbook in enumerate(("second-purchase", str(upgraded), "second-purchase")):
        line.publish(touches(seed + lap, 1_000, start=START + lap * SPAN))
        with line.worker(playbook=playbook):
            await_lag(line)
    offers = {action.params["offer"] for action in line.actions()}
    assert offers == {"free_shipping", "ten_percent"}
    code, proof = prove(line, "--earlier", str(upgraded))
    assert (code, proof["findings"]) == (0, [])
    code, said = prove(line)
    assert code == 1
    assert "version 2 of the playbook second-purchase held: give its file, too (--earlier" in said


@pytest.mark.nightly
def test_who_was_due_while_the_playbook_changed_is_left_out(line: TheLine, tmp_path: Path) -> None:
    """Of some 3,000 who are due at once 2,000 fire; then a worker with other rules goes on.

    Before it does, and after, nothing is wrong: those who were due are told as in hand.
    """
    upgraded = tmp_path / "upgraded.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    upgraded.write_text(
        text.replace("version: 1", "version: 2").replace("free_shipping", "ten_percent")
    )
    people = 12_000
    line.publish(ordered(user, START) for user in range(people))
    with line.worker():
        await_lag(line)
    line.publish([ordered(people, START + 31 * DAY)])
    with Program(line, "mortal_worker", "after", "settle", "1") as worker:
        assert exit_code(worker) == -signal.SIGKILL
    code, amid = prove(line)
    assert (code, amid["findings"]) == (0, [])
    assert total(amid, "in_hand") == TIMERS_AT_ONCE
    with line.worker(playbook=str(upgraded)):
        await_lag(line)
        changed = line.settings.model_copy(update={"playbook": str(upgraded)})
        code, proof = prove(replaced(line, settings=changed), "--earlier", "second-purchase")
    assert (code, proof["findings"]) == (0, [])
    records = line.read("touchpoints")
    (there,) = (each.partition for each in records if each.timestamp > START)
    due = sum(each.partition == there for each in records) - 1
    assert TIMERS_AT_ONCE < due < 2 * TIMERS_AT_ONCE
    assert total(proof, "in_hand") == due
    assert total(proof, "people") == people + 1 - due


def test_timers_of_an_idle_line_are_proven(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The broker stamps the records, nothing more comes, and the clock alone asks for actions."""
    playbook = tmp_path / "quick.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    playbook.write_text(text.replace("after: 30d", "after: 1s"))
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, timestamps="log", playbook=str(playbook),
        clock_margin=0.5,
    ) as line, line.worker() as worker:  # fmt: skip
        worker.wait_ready()
        now = int(time.time() * 1000)
        line.publish(
            (
                Touchpoint(
                    f"e{n}", f"p{n}", now, "order_paid",
                    {"order_id": f"o{n}", "amount_minor": 900, "currency": "USD"},
                )
                for n in range(40)
            ),
            event_time=False,
        )  # fmt: skip
        while len(line.actions()) < 40:
            worker.check()
            code, proof = prove(line)
            assert (code, proof["findings"]) == (0, [])
        code, proof = prove(line)
    assert (code, proof["findings"]) == (0, [])
    assert (total(proof, "touchpoints"), total(proof, "actions")) == (40, 40)


@pytest.mark.nightly
def test_a_plain_broker_may_repeat_what_was_requested(
    topic_prefix: str, tmp_path: Path, seed: int
) -> None:
    """Without transactions a record may be there again, under its id, if it says the same."""
    with (
        EmbeddedBroker() as broker,
        the_line(broker.bootstrap, topic_prefix, tmp_path, broker="plain") as line,
    ):
        line.publish(touches(seed, 500))
        with line.worker() as worker:
            await_settled([worker], 500)
        copies = [record for record in line.read("facts") if record.partition == 1][:3]
        with KafkaProducer(bootstrap_servers=line.settings.bootstrap) as producer:
            for copy in copies:
                producer.send(copy.topic, copy.value, copy.key, partition=1)
        code, proof = prove(line)
        assert (code, proof["findings"]) == (0, [])
        assert (total(proof, "touchpoints"), total(proof, "repeated")) == (500, 3)
        codec = Codec()
        changed = replace(codec.decode_fact(copies[0].value), rule="another")
        write(line, {"facts": [with_value(copies[0], codec.encode_fact(changed))]})
        code, proof = prove(line)
    assert code == 1
    (finding,) = proof["findings"]
    assert "1 facts say something else than the log gives" in finding["what"]


Damage = Callable[[Rows], Rows]


def of_actions(change: Callable[[Any], Any]) -> Damage:
    """Change the first action of the topic."""

    def damage(rows: Rows) -> Rows:
        codec, first = Codec(), rows[0]
        value = codec.encode_action(change(codec.decode_action(first.value)))
        return [with_value(first, value), *rows[1:]]

    return damage


def of_profiles(change: Callable[[Any, bytes], Rows]) -> Damage:
    """Change every row of the first person of the changelog."""

    def damage(rows: Rows) -> Rows:
        person = next(row.key for row in rows if is_person(row.key))
        return [
            new
            for row in rows
            for new in (change(row, row.value[:HEAD_BYTES]) if row.key == person else [row])
        ]

    return damage


def richer(row: Any, head: bytes) -> Rows:
    """Return the row of a person who has spent one cent more."""
    profile = decode(row.value[HEAD_BYTES:])
    more = replace(profile, monetary_minor=profile.monetary_minor + 1)
    return [with_value(row, head + encode(more))]


def doubled(row: Any, head: bytes) -> Rows:
    """Return the row, and one of a person whom the log does not know."""
    stranger = replace(decode(row.value[HEAD_BYTES:]), user_id="stranger")
    other = with_value(row, head + encode(stranger))
    other.key = b"stranger"
    return [row, other]


DAMAGES: list[dict[str, tuple[str, Damage]]] = [
    {},
    {
        "actions that the log asks for are not there": (ACTIONS, lambda rows: rows[1:]),
        "facts are there more than once": ("facts", lambda rows: [rows[9], *rows]),
        "profiles are not what the log gives": (CHANGELOG, of_profiles(richer)),
    },
    {
        "actions were requested more than once": (ACTIONS, lambda rows: [*rows, rows[0]]),
        "facts that the log asks for are not there": (
            "facts",
            lambda rows: [*rows[:7], *rows[8:]],
        ),
        "people of the log have no profile": (CHANGELOG, of_profiles(lambda *_: [])),
    },
    {
        "actions say something else than the log gives": (
            ACTIONS,
            of_actions(lambda action: replace(action, template="another")),
        ),
        "facts cannot be read": ("facts", lambda rows: [*rows, with_value(rows[0], b"{}")]),
        "profiles are of nobody in the log": (CHANGELOG, of_profiles(doubled)),
    },
    {
        "actions were requested that the log does not ask for": (
            ACTIONS,
            lambda rows: [*rows, of_actions(lambda one: replace(one, action_id="0" * 32))(rows)[0]],
        ),
    },
]


@pytest.fixture
def done(line: TheLine, seed: int) -> dict[str, Rows]:
    """What a healthy line has written, by topic, partition 0 alone."""
    line.publish(touches(seed, 800))
    with line.worker():
        await_lag(line)
    names = ("touchpoints", "facts", CHANGELOG, ACTIONS)
    return {name: [row for row in line.read(name) if row.partition == 0] for name in names}


def test_whatever_is_not_as_the_log_gives_it_is_named(
    line: TheLine, done: dict[str, Rows], topic_prefix: str, tmp_path: Path
) -> None:
    """Copies of a line, each with one thing put wrong on purpose; and one that is whole."""
    for number, damages in enumerate(DAMAGES):
        with the_line(
            line.settings.bootstrap, f"{topic_prefix}d{number}-", tmp_path / str(number)
        ) as copy:
            rows = {topic: damage(done[topic]) for topic, damage in damages.values()}
            write(copy, done | rows)
            playbook = compile_playbook(find_playbook(copy.settings.playbook))
            proof = asyncio.run(run(copy.settings, [playbook], lambda _: None))
        found = [finding.what for finding in proof.findings]
        assert len(found) == len(damages), found
        for what in damages:
            assert any(f"1 {what}: " in each for each in found), (what, found)
        assert all(finding.cure for finding in proof.findings)


def test_what_retention_deleted_is_counted_and_a_log_that_was_cut_cannot_be_proven(
    line: TheLine, done: dict[str, Rows]
) -> None:
    """The first half of the facts is gone: the rest is proven. The log's beginning is needed."""
    half = done["facts"][len(done["facts"]) // 2].offset
    forget(line, "facts", half)
    code, proof = prove(line)
    assert (code, proof["findings"]) == (0, [])
    kept = sum(row.offset >= half for row in done["facts"])
    assert proof["partitions"][0]["forgotten"] >= len(done["facts"]) - kept
    assert proof["partitions"][0]["facts"] == kept
    forget(line, "touchpoints", 3)
    code, said = prove(line)
    assert code == 1
    assert "touchpoints partition 0 begins at offset 3: what came before is gone" in said
