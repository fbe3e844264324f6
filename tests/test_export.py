"""``touchline export``: what is on the log comes out as lines, and back as the same log."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result
from kafka import KafkaAdminClient, TopicPartition
from logs import PLAYBOOK, everything
from strategies import KINDS, Log
from the_line import TheLine, await_account, the_line

from schemas.codec import Codec
from schemas.jsonlines import format_line
from schemas.records import Touchpoint
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.cli import cli
from streams.embedded import EmbeddedBroker
from streams.export import Selection, export_log
from streams.log_order import read_in_order
from streams.log_places import open_log
from streams.publisher import Publisher
from streams.settings import Settings

pytestmark = pytest.mark.kafka
PAGE = {"page": "/", "category": "", "duration_ms": 0}


@pytest.fixture
def line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TheLine]:
    """A line whose records have the time that is stated for them."""
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, playbook=PLAYBOOK, dead_letter_ceiling=1.0
    ) as made:
        yield made


def publish(line: TheLine, log: Log) -> None:
    """Publish touchpoints, each with its stream time."""
    with line.publisher() as publisher:
        for touchpoint, at in log:
            publisher.publish(touchpoint, at)


def touchline(*arguments: str) -> Result:
    """Run the command; it must succeed."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result


def where(settings: Settings) -> list[str]:
    """Return the flags of a line."""
    return ["--bootstrap", settings.bootstrap, "--topic-prefix", settings.topic_prefix]


def export(line: TheLine, *flags: str) -> Result:
    """Export the log of a line to standard output."""
    return touchline("export", *where(line.settings), *flags)


def lines_of(*arguments: str) -> list[str]:
    """Return the lines that a command prints; there are line ends of Unicode within them."""
    return touchline(*arguments).stdout.removesuffix("\n").split("\n")


def fields(records: Iterable[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return records as JSON has them, in an order of their own."""
    return sorted(map(msgspec.structs.asdict, records), key=str)


def objects(lines: list[str]) -> list[dict[str, Any]]:
    """Return what lines of JSON hold, in the same order."""
    return sorted(map(json.loads, lines), key=str)


def views(number: int) -> Log:
    """Return page views of as many people, a second after the other."""
    return [
        (Touchpoint(f"e-{n}", f"u-{n}", 1_000 * n, "page_viewed", PAGE), 1_000 * n)
        for n in range(1, number + 1)
    ]


def test_what_is_exported_is_the_same_log_again(
    line: TheLine, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Simulated it gives what the worker gave, byte for byte; replayed, the same records."""
    log = everything()
    assert {event.kind for event, _ in log} == set(KINDS)
    publish(line, log)
    with line.publisher() as publisher:
        publisher.publish_raw(b"ann", b"no touchpoint")
    with line.worker() as worker:
        worker.wait_ready()
        account = await_account([worker], len(log) + 1)
        profiles = lines_of("profiles", "--json", "--url", worker.url)
    assert all(account.values()), "each verdict must have its case"

    file = tmp_path / "log.jsonl"
    said = export(line, "--to", str(file)).stderr
    assert "left out 1 records" in said
    assert f"{len(log):,} lines of" in said

    simulate = ("simulate", str(file), "--playbook", PLAYBOOK)
    assert lines_of(*simulate, "--profiles") == profiles
    actions = fields(line.actions())
    assert actions
    assert objects(lines_of(*simulate, "--actions")) == actions
    facts = fields(Codec().decode_fact(record.value) for record in line.read("facts"))
    assert objects(lines_of(*simulate, "--facts")) == facts

    with the_line(kafka_bootstrap, f"{topic_prefix}again-", tmp_path) as again:
        touchline("publish", "--replay", *where(again.settings), str(file))
        assert export(again).stdout_bytes == file.read_bytes()
        assert places(again) == [each for each in places(line) if each[2] != b"no touchpoint"]


def places(line: TheLine) -> list[tuple[Any, ...]]:
    """Return what each partition has, in the order of its offsets."""
    records = line.read("touchpoints")
    return [(each.partition, each.key, each.value, each.timestamp) for each in records]


def test_the_brokers_time_goes_with_each_line(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """In production the broker stamps records: late is what was late when the worker had it."""
    with the_line(kafka_bootstrap, topic_prefix, tmp_path, timestamps="log") as line:
        log = [event for event, _ in everything()]
        line.publish(log, event_time=False)
        with line.worker(dead_letter_ceiling=1.0) as worker:
            worker.wait_ready()
            account = await_account([worker], len(log))
            profiles = lines_of("profiles", "--json", "--url", worker.url)
        assert account["late"] > account["applied"]
        file = tmp_path / "log.jsonl"
        export(line, "--to", str(file))
        # The playbook is one whose timers are weeks off, so the clock need not go on.
        assert lines_of("simulate", str(file), "--profiles") == profiles
        summary = json.loads(touchline("simulate", str(file), "--summary").stdout)
        assert (summary["late"], summary["rejected"]) == (account["late"], account["dead"])


def test_lines_are_those_of_some_people_or_of_some_time(line: TheLine) -> None:
    """``--user`` may be repeated; ``--since`` is inclusive, ``--until`` is not."""
    log = views(20)
    publish(line, log)
    lines = {event.user_id: f"{format_line(event, at)}\n" for event, at in log}
    assert export(line).stdout == "".join(lines.values())
    some = export(line, "--user", "u-7", "--user", "u-3", "--user", "nobody")
    assert some.stdout == lines["u-3"] + lines["u-7"]
    assert some.stderr.endswith(
        "2 lines of 2 people, taken from 1970-01-01T00:00:03.000Z to 1970-01-01T00:00:07.000Z\n"
    )
    bounds = ("--since", "1970-01-01T00:00:05Z", "--until", "1970-01-01T08:00:08+08:00")
    assert export(line, *bounds).stdout == lines["u-5"] + lines["u-6"] + lines["u-7"]
    nothing = export(line, "--since", "2000-01-01T00:00:00Z")
    assert nothing.stdout == ""
    assert "0 lines of 0 people: the log has nothing that was asked for" in nothing.stderr


def test_what_holds_no_touchpoint_is_left_out_and_named(line: TheLine) -> None:
    """The places of the first few are told, with the worker's reasons, and how many there are."""
    (event, at), *_ = views(1)
    publish(line, [(event, at)])
    with line.publisher() as publisher:
        value = Codec().encode_touchpoint(event)
        for key, content in ((None, value), (b"other", value), (b"u-1", None), (b"u-1", b"?")):
            publisher.publish_raw(key, content)
        for _ in range(4):
            publisher.publish_raw(b"u-1", b"\x00")
    result = export(line)
    assert result.stdout == f"{format_line(event, at)}\n"
    assert "left out 8 records that hold no touchpoint:" in result.stderr
    assert result.stderr.count(f"{line.settings.topic('touchpoints')}/") == 5
    assert "and 3 more" in result.stderr
    for reason in ("null_key", "wrong_key", "empty_value"):
        assert reason in export(line).stderr


def test_only_what_is_committed_is_exported(line: TheLine) -> None:
    """Of an aborted transaction and one that is committed, the second; marks are no records."""

    async def send() -> None:
        codec, topic = Codec(), line.settings.topic("touchpoints")
        producer = AIOKafkaProducer(
            bootstrap_servers=line.settings.bootstrap, transactional_id=line.settings.group
        )
        async with producer:
            for (event, at), end in zip(
                views(2), (producer.abort_transaction, producer.commit_transaction), strict=True
            ):
                await producer.begin_transaction()
                value = codec.encode_touchpoint(event)
                await producer.send_and_wait(topic, value, event.user_id.encode(), timestamp_ms=at)
                await end()

    asyncio.run(send())
    assert [json.loads(each)["event_id"] for each in export(line).stdout.splitlines()] == ["e-2"]


def test_it_ends_where_the_log_ended_when_it_began(line: TheLine) -> None:
    """What is published while it reads, before the first line is written, is for the next one."""
    log = views(40)
    publish(line, log[:20])
    written: list[bytes] = []
    seen: list[tuple[int, int]] = []

    def write(lines: bytes) -> None:
        if not written:
            publish(line, log[20:])
        written.append(lines)

    exported = asyncio.run(
        export_log(line.settings, Selection(), write, lambda *watched: seen.append(watched))
    )
    assert b"".join(written).count(b"\n") == exported.lines == len(exported.people) == 20
    assert seen[-1] == (20, 20)
    assert export(line).stdout.count("\n") == 40


def test_what_is_beyond_the_end_is_not_read(line: TheLine) -> None:
    """A fetch brings what is there, which may be more than was asked for."""
    log, topic = views(40), line.settings.topic("touchpoints")
    publish(line, log[:20])

    async def read() -> list[int]:
        async with open_log(line.settings) as reader:
            reach = await reader.reach(topic, range(4))
        await asyncio.to_thread(publish, line, log[20:])
        batches = read_in_order(line.settings, topic, reach)
        return [record.timestamp async for records in batches for record in records]

    assert asyncio.run(read()) == [at for _, at in log[:20]]


def test_a_log_whose_beginning_is_gone_says_so(line: TheLine) -> None:
    """What is folded from the rest is not what the workers have."""
    publish(line, views(40))
    assert "no longer on the log" not in export(line).stderr
    forgotten = TopicPartition(line.settings.topic("touchpoints"), 2)
    with KafkaAdminClient(bootstrap_servers=line.settings.bootstrap) as admin:
        admin.delete_records({forgotten: 3})
    result = export(line)
    assert "partition 2 begins at offset 3: what was before is no longer" in result.stderr
    assert "partition 1" not in result.stderr
    assert "37 lines of 37 people" in result.stderr


def test_the_embedded_broker_gives_all_that_it_has(tmp_path: Path) -> None:
    """Its ListOffsets falls short of the end of a batch of many records; `explain` knows, too."""
    with EmbeddedBroker() as broker:
        create_topics(broker.bootstrap, load_topics().values())
        with Publisher(broker.bootstrap, "touchpoints", Codec(), event_time=True) as publisher:
            for event, at in views(500):
                publisher.publish(event, at)
        file = tmp_path / "log.jsonl"
        flags = ("--bootstrap", broker.bootstrap, "--broker", "plain")
        touchline("export", *flags, "--to", str(file))
        for event, _ in views(500)[-4:]:
            assert event.event_id in touchline("explain", *flags, "--user", event.user_id).stdout
        half = touchline("export", *flags, "--since", "1970-01-01T00:04:11Z")
    lines = [f"{format_line(event, at)}\n" for event, at in views(500)]
    assert file.read_text() == "".join(lines)
    assert half.stdout == "".join(lines[250:])
