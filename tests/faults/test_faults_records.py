"""Records that are bad, late, early, twice or out of order: each in its account, none lost."""

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import avro.io
import avro.schema
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from msgspec.structs import asdict, replace
from orchestra import Write, await_lag, exit_code, publish_at
from strategies import avsc
from test_registry import MemoryRegistry
from the_line import TheLine, await_account, dump, the_line
from truth import require_truth
from workload import DAY, LATER, touches

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.playbook import find_playbook
from schemas.profile import dump as dump_profiles
from schemas.records import Touchpoint
from schemas.registry import Registry
from streams.broken import broken_records

pytestmark = pytest.mark.kafka
POISON = broken_records()
HOUR = 3_600_000


def send_raw(line: TheLine, records: list[tuple[bytes | None, bytes | None]]) -> None:
    """Publish bytes as they are."""
    with line.publisher() as publisher:
        for key, value in records:
            publisher.publish_raw(key, value)


def test_every_kind_of_poison_among_good_records(line: TheLine, seed: int) -> None:
    """Poison here and there: each record once in dead-letters, every good one applied."""
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    good = list(touches(seed, 3_000))
    wrong_key = (b"somebody-else", Codec().encode_touchpoint(good[0]))
    kinds = [*((each.key, each.value) for each in POISON if each.name != "a value of 2 MB")]
    sent = 0
    with line.publisher() as publisher:
        for each in good:
            publisher.publish(each)
            if random.random() < 0.1:
                publisher.publish_raw(*random.choice([*kinds, wrong_key]))
                sent += 1
        for each in POISON:
            publisher.publish_raw(each.key, each.value)
    with line.worker() as worker:
        worker.wait_ready()
        await_lag(line)
        truth = require_truth(line, [worker])
    assert len(truth.dead) == sent + len(POISON)
    assert truth.account["applied"] == len(good)


def test_when_most_records_are_bad_the_line_stops(line: TheLine, seed: int) -> None:
    """It stops with exit code 1 before it commits them, again after a restart, and can be told."""
    line.publish(list(touches(seed, 1_000)))
    send_raw(line, [(b"p1", b'{"json": true}')] * 2_000)  # one partition: that of this key
    for _ in range(2):
        with line.worker() as worker:
            assert exit_code(worker) == 1
        told = " ".join(worker.log.read_text().split())
        assert "TooManyDeadLetters" in told
        assert "this one by wrong_bytes (" in told
        assert len(line.dead_letters()) <= 500
    with line.worker(dead_letter_ceiling=1.0) as worker:
        worker.wait_ready()
        await_lag(line)
        truth = require_truth(line, [worker])
    assert len(truth.dead) == 2_000
    line.publish(touches(seed + 1, 3_000, start=LATER))
    with line.worker():  # good records come again: nothing stops it
        await_lag(line)


def test_dead_letters_that_cannot_be_written_stop_the_line(line: TheLine, seed: int) -> None:
    """While the topic refuses them nothing is committed past them; afterwards none is missing."""
    line.publish(touches(seed, 600))
    send_raw(line, [(each.key, each.value) for each in POISON])
    set_config(line, "dead-letters", "max.message.bytes", "150")  # holds a marker
    for _ in range(2):
        with line.worker() as worker:
            assert exit_code(worker) == 1
    assert line.dead_letters() == []
    set_config(line, "dead-letters", "max.message.bytes", str(5 << 20))
    with line.worker() as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])


def test_dead_letters_are_redriven_twice(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, registry: MemoryRegistry, seed: int
) -> None:
    """What a worker without the registry refused is applied once it has one; again, a duplicate."""
    start = int(time.time() * 1000) - HOUR
    refused = list(touches(seed, 200, people=50, start=start, span=HOUR))
    encode = Codec(Registry(registry.url)).encode_touchpoint
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, timestamps="log", registry=registry.url
    ) as line:
        send_raw(line, [(each.user_id.encode(), encode(each)) for each in refused])
        send_raw(line, [(b"p1", b"not Avro")])
        with line.worker(registry="") as worker:
            found = await_account([worker], 201)
        assert found == {"applied": 0, "duplicate": 0, "late": 0, "dead": 201}
        with line.worker() as worker:
            worker.wait_ready()
            assert redrive(line) == 201
            found = await_account([worker], 402)
            assert found == {"applied": 200, "duplicate": 0, "late": 0, "dead": 202}
            assert redrive(line) == 202
            found = await_account([worker], 604)
            assert found == {"applied": 200, "duplicate": 200, "late": 0, "dead": 204}
            profiles = dump([worker])
        letters = Counter((letter.partition, letter.offset) for letter in line.dead_letters())
        assert sorted(letters.values()) == [1] * 204
        decode = Codec(Registry(registry.url)).decode_touchpoint
        applied = [
            (decode(record.value), record.timestamp)
            for record in line.read("touchpoints")
            if (record.partition, record.offset) not in letters
        ]
    partition = Partition(compile_playbook(find_playbook("second-purchase")), {})
    partition.apply(applied)
    assert profiles == list(dump_profiles(partition.profiles))


def test_records_of_all_ages_orders_and_schemas(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, registry: MemoryRegistry, seed: int
) -> None:
    """Late, early, permuted, repeated, and by four writers: each is in its account, once.

    Business time is up to six days before the record's, in any order (permuted within the
    lateness of seven days), a day off for some (skewed clocks), and more than a week for others.
    """
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    writers = the_writers(registry)
    records: list[tuple[int, Touchpoint]] = []
    repeats = late = 0
    for each in touches(seed, 3_000):
        occurred_at = each.occurred_at
        match random.choices(("in time", "late", "skewed", "twice"), (80, 5, 5, 10))[0]:
            case "late":
                at = occurred_at + random.randrange(8 * DAY, 30 * DAY)
                late += 1
            case "skewed":
                at, occurred_at = occurred_at, occurred_at + random.choice((-DAY, DAY))
            case "twice":
                at = occurred_at + random.randrange(6 * DAY)
                records.append((at + random.randrange(DAY), each))
                repeats += 1
            case _:
                at = occurred_at + random.randrange(6 * DAY)
        records.append((at, replace(each, occurred_at=occurred_at)))
    records.sort(key=lambda record: record[0])
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, batch_records=100, registry=registry.url
    ) as line:
        publish_at(line, [(at, each, random.choice(writers)) for at, each in records])
        with ExitStack() as running:
            workers = [running.enter_context(line.worker()) for _ in range(2)]
            await_lag(line)
            for worker in workers:
                worker.wait_ready()
            truth = require_truth(line, workers)
    applied = len(records) - repeats - late
    expected = {"applied": applied, "duplicate": repeats, "late": late, "dead": 0}
    assert truth.account == expected


def the_writers(registry: MemoryRegistry) -> list[Write]:
    """Return four ways to write a touchpoint: two formats, and two more versions of the schema."""
    older, newer = avsc("touchpoint"), avsc("touchpoint")
    older["fields"] = [f for f in older["fields"] if f["name"] not in {"campaign", "community"}]
    newer["fields"].insert(0, {"name": "trace", "type": "string"})
    return [
        Codec().encode_touchpoint,
        Codec(Registry(registry.url)).encode_touchpoint,
        partial(write_with, registry.add(older), avro.schema.parse(json.dumps(older))),
        partial(write_with, registry.add(newer), avro.schema.parse(json.dumps(newer))),
    ]


def write_with(number: int, schema: Any, touchpoint: Touchpoint) -> bytes:
    """Write a touchpoint by Apache's own library, in Confluent's format."""
    given = asdict(touchpoint) | {"trace": "t"}
    given["occurred_at"] = datetime.fromtimestamp(touchpoint.occurred_at / 1000, UTC)
    fields = {field.name: given[field.name] for field in schema.fields}
    stream = BytesIO()
    avro.io.DatumWriter(schema).write(fields, avro.io.BinaryEncoder(stream))
    return b"\x00" + number.to_bytes(4, "big") + stream.getvalue()


def redrive(line: TheLine) -> int:
    """Run ``touchline dead-letters redrive``; return how many records it has published."""
    command = [sys.executable, "-m", "streams", "dead-letters", "redrive", "--json"]
    place = ["--bootstrap", line.settings.bootstrap, "--topic-prefix", line.settings.topic_prefix,
             "--registry", line.settings.registry]  # fmt: skip
    done = subprocess.run([*command, *place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["redriven"])


def set_config(line: TheLine, topic: str, name: str, value: str) -> None:
    """Change the configuration of a topic."""
    admin = KafkaAdminClient(bootstrap_servers=line.settings.bootstrap)
    try:
        resource = ConfigResource("TOPIC", line.settings.topic(topic), configs={name: value})
        admin.alter_configs([resource])
    finally:
        admin.close()
