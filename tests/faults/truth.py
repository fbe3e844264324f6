"""The oracle of the fault tests: a pure fold of the log, and how all that was written compares.

Nothing of the worker takes part: the log is read back with kafka-python and folded record by
record, partition by partition. ``S`` are the profiles (byte for byte, from the changelog and from
the workers), ``T`` the actions and facts (each once for a reader of committed records), ``R`` the
rows of ClickHouse and their sums.
"""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra import await_settled
from the_line import TheLine, account, dump

from processors.partition import Partition
from processors.playbook import Playbook, compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.profile import Profile
from schemas.profile import dump as dump_profiles
from schemas.records import Touchpoint
from schemas.topics import load_topics
from schemas.wire import DecodeError
from streams.cli.children import Child
from streams.prove import prove
from streams.restore import restore_shards
from streams.stores import Stores

PARTITIONS = {0, 1, 2, 3}
Place = tuple[str, int, int]


@dataclass
class Truth:
    """What must be there once everything is applied."""

    profiles: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    dead: list[tuple[int, int]] = field(default_factory=list)
    account: dict[str, int] = field(default_factory=dict)
    playbooks: tuple[Playbook, ...] = ()


def fold_log(
    line: TheLine,
    *,
    upgrade: tuple[str, Mapping[int, int]] | None = None,
) -> Truth:
    """Fold the records of the log, one by one.

    Args:
        line: Whose log.
        upgrade: Another playbook, and for each partition the offset from which it holds.
    """
    codec = line.settings.new_codec()
    first = compile_playbook(find_playbook(line.settings.playbook))
    second = compile_playbook(find_playbook(upgrade[0])) if upgrade else first
    truth, profiles = Truth(playbooks=(second, first)), dict[str, Profile]()
    totals = dict.fromkeys(("applied", "duplicate", "late", "dead"), 0)
    by_partition: dict[int, list[Any]] = defaultdict(list)
    for record in line.read("touchpoints"):
        by_partition[record.partition].append(record)
    for number, records in by_partition.items():
        switch = upgrade[1].get(number, 0) if upgrade else 0
        partition = Partition(first, {})
        for record in records:
            if upgrade and record.offset == switch:
                partition = _go_on_with(partition, second)
            try:
                touchpoint = _decode(codec, record)
            except DecodeError:
                truth.dead.append((number, record.offset))
                continue
            effects = partition.apply([(touchpoint, record.timestamp)])
            truth.dead += [(number, record.offset) for _ in effects.rejected]
            truth.actions += [action.action_id for action in effects.actions]
            truth.facts += [fact.fact_id for fact in effects.facts]
        profiles |= partition.profiles
        totals["applied"] += partition.counts.applied
        totals["duplicate"] += partition.counts.duplicates
        totals["late"] += partition.counts.late
    totals["dead"] = len(truth.dead)
    truth.profiles = list(dump_profiles(profiles))
    truth.account = totals
    return truth


def require_truth(line: TheLine, workers: Iterable[Child], truth: Truth | None = None) -> Truth:
    """Compare profiles, actions, facts, dead letters and account with the fold of the log."""
    truth, workers = truth or fold_log(line), list(workers)
    await_settled(workers, len(line.read("touchpoints")))
    assert account(workers) == truth.account
    assert dump(workers) == truth.profiles
    require_durable(line, truth)
    return truth


def require_durable(line: TheLine, truth: Truth) -> None:
    """Compare what is on the topics, the changelog among them, with the fold of the log.

    The product's own proof, which knows nothing of this one, must come to the same end.
    """
    assert restored(line) == truth.profiles
    assert sorted(action.action_id for action in line.actions()) == sorted(truth.actions)
    decode = line.settings.new_codec().decode_fact
    facts = [decode(record.value).fact_id for record in line.read("facts")]
    assert sorted(facts) == sorted(truth.facts)
    dead = [(letter.partition, letter.offset) for letter in line.dead_letters()]
    assert sorted(dead) == sorted(truth.dead)
    proof = asyncio.run(prove(line.settings, truth.playbooks, lambda _: None))
    assert proof.findings == []
    total = proof.total()
    assert (total.actions, total.facts) == (len(truth.actions), len(truth.facts))


def restored(line: TheLine) -> list[str]:
    """Return the canonical dump of the profiles as the changelog has them."""
    playbook = compile_playbook(find_playbook(line.settings.playbook))
    stores = Stores(line.settings.model_copy(update={"store": "memory"}), playbook)
    shards = asyncio.run(restore_shards(line.settings, playbook, PARTITIONS, {}, stores))
    held = (shard.store for shard in shards.values() if shard.store is not None)
    profiles = {p.user_id: p for store in held for chunk in store.scan() for p in chunk}
    return list(dump_profiles(profiles))


def require_rows(line: TheLine) -> None:
    """Compare ClickHouse with the log: each record one row, and the money of each person."""
    codec = line.settings.new_codec()
    expected: dict[str, list[Place]] = {}
    revenue: dict[str, int] = defaultdict(int)
    for table, topics in {
        "touchpoints": ["touchpoints"],
        "facts": ["facts"],
        "actions": [name for name in load_topics() if name.startswith("actions.")],
        "dead_letters": ["dead-letters"],
    }.items():
        places = expected[table] = []
        for record in (record for topic in topics for record in line.read(topic)):
            if table == "touchpoints":
                try:
                    touchpoint = _decode(codec, record)
                except DecodeError:
                    continue
                if touchpoint.kind == "order_paid":
                    revenue[touchpoint.user_id] += touchpoint.payload["amount_minor"]
            places.append((record.topic, record.partition, record.offset))
    for table, places in expected.items():
        found = ask(line, f"SELECT topic, partition, offset FROM {table} FINAL")  # noqa: S608
        assert sorted(tuple(row) for row in found) == sorted(places), table
    by_person = """
        SELECT user_id, sum(amount_minor) FROM touchpoints FINAL
        WHERE kind = 'order_paid' GROUP BY user_id
    """
    assert dict(ask(line, by_person)) == revenue


def ask(line: TheLine, sql: str) -> list[list[Any]]:
    """Query the embedded warehouse of a line whose sink has stopped, in a process of its own."""
    program = (
        "import json, sys; from sinks.warehouse import open_warehouse; "
        "print(json.dumps(open_warehouse(sys.argv[1]).query(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, line.settings.warehouse, sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


def _decode(codec: Codec, record: Any) -> Touchpoint:
    touchpoint = codec.decode_touchpoint(record.value)
    if record.key != touchpoint.user_id.encode():
        raise DecodeError("wrong_key", "no key, or not the person's")
    return touchpoint


def _go_on_with(partition: Partition, playbook: Any) -> Partition:
    after = Partition(playbook, partition.profiles)
    after.clock = partition.clock
    return after
