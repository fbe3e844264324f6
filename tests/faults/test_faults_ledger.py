"""The ledger: on a healthy line it finds nothing; what is missing, doubled or skipped, it names."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from kafka import KafkaProducer
from msgspec.msgpack import decode, encode
from msgspec.structs import replace
from orchestra import await_lag
from the_line import TheLine, await_account, await_that, the_line
from workload import DAY, LATER, touches

from schemas.records import Fact
from sinks.deployment import Deployment
from sinks.migrations import kept_since, migrate
from sinks.tables import FACTS
from sinks.warehouse import Warehouse, open_warehouse
from streams.broken import broken_records
from streams.cli.children import Child
from streams.cli.demo import await_sink
from streams.cli.pages import PageError, read_json
from streams.embedded import EmbeddedBroker
from streams.metrics import SinkMetrics
from streams.rows import LEDGER_KEY, Ledger
from streams.sink import routes
from streams.sink_buffer import SinkBuffer
from streams.sink_check import RowCheck

HERE = TP("facts", 0)
FACT = Fact("f", "u", "tag_added", 1, "s", "", "", "event", "e", "r", "p", 1, {})


def verify(line: TheLine, *arguments: str) -> tuple[int, Any]:
    """Run ``touchline verify``; return its exit code and what it says."""
    command = [sys.executable, "-m", "streams", "verify", "--json", *arguments]
    environment = line.settings.model_copy(update={"web_port": 0}).to_environ()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def tables(line: TheLine) -> Iterator[Warehouse]:
    """Open the tables of a line whose sink has stopped, as this process may do once."""
    with closing(open_warehouse(line.settings.warehouse)) as warehouse:
        yield warehouse


@pytest.mark.kafka
def test_the_ledger_names_what_is_missing_doubled_or_skipped(line: TheLine, seed: int) -> None:
    """Healthy: all zero, and merely behind is not wrong. Then four faults, each named."""
    sent = line.publish(touches(seed, 2_000))
    with line.publisher() as publisher:
        for each in broken_records():
            publisher.publish_raw(each.key, each.value)
            sent += 1
    with line.worker() as worker, line.sink() as sink:
        sink.wait_ready()
        await_lag(line)
        await_sink(worker, sink)
    code, healthy = verify(line)
    assert (code, healthy["ok"], healthy["behind"], healthy["sink_behind"]) == (0, True, 0, 0)
    accounts = healthy["accounts"]
    assert sum(a["applied"] + a["dead"] for a in accounts) == sent
    assert {a["unaccounted"] for a in accounts} == {0}
    assert {(r["missing"], r["extra"]) for r in healthy["rows"]} == {(0, 0)}
    rows = Counter[str]()
    for each in healthy["rows"]:
        rows[each["topic"]] += each["rows"]
    kept = [name for name, *_ in routes(line.settings.new_codec())]
    assert rows.keys() == {line.settings.topic(name) for name in kept}
    assert rows[line.settings.topic("facts")] == len(line.read("facts"))
    for name in ("aggregates", "funnel-progress"):
        newest = {(r.partition, r.key) for r in line.read(name)}
        assert rows[line.settings.topic(name)] == len(newest) > 0

    line.publish(touches(seed + 1, 100, start=LATER))
    code, behind = verify(line, "--log-only")
    assert (code, behind["ok"], behind["behind"]) == (0, True, 100)

    skipped = skip_a_record(line, 2)
    with line.worker():
        await_lag(line)
    code, wrong = verify(line, "--log-only")
    assert code == 1
    (finding,) = wrong["findings"]
    assert (finding["what"], finding["partition"]) == ("1 records are in no account", 2)
    assert finding["offsets"] == str(skipped)

    with tables(line) as warehouse:
        lost, doubled, strange = damage(warehouse)
        older, newer = damage_upserts(warehouse)
    code, wrong = verify(line)
    assert code == 1
    found = {
        (f["what"], f["topic"].removeprefix(line.settings.topic_prefix), f["offsets"])
        for f in wrong["findings"]
    }
    assert found >= {
        ("1 records have no row in touchpoints", "touchpoints", lost),
        ("1 places have several rows in facts", "facts", doubled),
        ("1 rows of facts are of no record", "facts", strange),
        ("1 records have no row in aggregates", "aggregates", older),
        ("1 rows of funnel_progress are of no record", "funnel-progress", newer),
    }
    assert all(f["cure"] for f in wrong["findings"])


@pytest.mark.kafka
def test_what_a_table_may_forget_is_not_missed(line: TheLine, seed: int) -> None:
    """Rows that went when they might are nothing wrong; one that went too early is."""
    recent = int(time.time() * 1000) - 20 * DAY
    line.publish(touches(seed, 500))  # of 2023
    line.publish(touches(seed + 1, 100, start=recent, span=10 * DAY))
    with line.worker(), line.sink(keep_days="touchpoints=90,dead_letters=90") as sink:
        sink.wait_ready()
        await_lag(line)
        await_lag(line, group="-sink")
        await_that(lambda: rows_left(sink) == 0, "rows are missing")
    with tables(line) as warehouse:
        warehouse.execute("OPTIMIZE TABLE touchpoints FINAL")
        ((left, lost),) = warehouse.query(
            "SELECT count(), min(offset) FROM touchpoints FINAL WHERE partition = 0"
        )
    assert left < 100
    code, found = verify(line)
    assert (code, found["findings"]) == (0, [])
    source = line.settings.topic("touchpoints")
    assert sum(r["records"] for r in found["rows"] if r["topic"] == source) == 100

    with tables(line) as warehouse:
        warehouse.execute(
            "ALTER TABLE touchpoints DELETE WHERE partition = 0 "
            f"AND touchpoints.offset = {lost} SETTINGS mutations_sync = 2"
        )
    code, found = verify(line)
    (finding,) = found["findings"]
    assert finding["what"] == "1 records have no row in touchpoints"
    assert finding["offsets"] == str(lost)


def rows_left(sink: Child) -> int | None:
    """Return how many records are not in ClickHouse yet; None while the sink cannot tell."""
    try:
        return sum(read_json(f"{sink.url}/lag").values())
    except PageError:
        return None


def test_the_ledger_on_a_broker_that_does_not_tell_its_ends(tmp_path: Path, seed: int) -> None:
    """The embedded broker's offsets fall short: the ledger reads on to where they really end."""
    plain = {"broker": "plain", "rebalance_timeout": 4.0, "session_timeout": 10.0}
    with (
        EmbeddedBroker() as broker,
        the_line(broker.bootstrap, "ledger-", tmp_path, **plain) as line,
    ):
        line.publish(touches(seed, 1_000))
        with line.worker() as worker:
            await_account([worker], 1_000)
        code, found = verify(line, "--log-only")
    assert (code, found["behind"]) == (0, 0)
    assert sum(account["applied"] for account in found["accounts"]) == 1_000


def skip_a_record(line: TheLine, partition: int) -> int:
    """Let the ledger of a partition pass over a record that was not applied; return its offset."""
    topic = line.settings.topic("profiles-changelog")
    rows = [r for r in line.read("profiles-changelog") if r.partition == partition]
    ledger = decode([r.value for r in rows if r.key == LEDGER_KEY][-1], type=Ledger)
    wrong = replace(ledger, offset=ledger.offset + 1)
    producer = KafkaProducer(bootstrap_servers=line.settings.bootstrap)
    try:
        producer.send(topic, encode(wrong), LEDGER_KEY, partition=partition).get()
    finally:
        producer.close()
    return wrong.offset


def damage(warehouse: Warehouse) -> tuple[str, str, str]:
    """Delete a row, store one again under another person, and one under another place."""
    now = "SETTINGS mutations_sync = 2"
    ((topic, number, lost),) = warehouse.query(
        "SELECT topic, partition, offset FROM touchpoints FINAL ORDER BY partition, offset LIMIT 1"
    )
    warehouse.execute(
        f"ALTER TABLE touchpoints DELETE WHERE topic = '{topic}' AND partition = {number} "
        f"AND offset = {lost} {now}"
    )
    ((doubled, last),) = warehouse.query(
        "SELECT min(offset), max(offset) FROM facts FINAL WHERE partition = 1"
    )
    copy = (
        "INSERT INTO facts SELECT * REPLACE ({}) FROM facts "
        "WHERE partition = 1 AND facts.offset = {}"
    )
    warehouse.execute(copy.format("'somebody' AS user_id", doubled))
    warehouse.execute(copy.format("offset + 1000000 AS offset", last))
    return str(lost), str(doubled), str(last + 1_000_000)


def damage_upserts(warehouse: Warehouse) -> tuple[str, str]:
    """Put an older version in the place of a row, and one that never was in that of another."""
    aggregate = "SELECT {} FROM aggregates FINAL WHERE partition = 2 ORDER BY start, offset LIMIT 1"
    ((older,),) = warehouse.query(aggregate.format("offset"))
    copy = aggregate.format("* REPLACE (version - 1 AS version)")
    warehouse.execute(f"CREATE TABLE kept ENGINE = Memory AS {copy}")
    warehouse.execute(
        f"ALTER TABLE aggregates DELETE WHERE partition = 2 AND aggregates.offset = {older} "
        "SETTINGS mutations_sync = 2"
    )
    warehouse.execute("INSERT INTO aggregates SELECT * FROM kept")
    warehouse.execute("DROP TABLE kept")
    progress = "SELECT {} FROM funnel_progress FINAL WHERE partition = 3 ORDER BY offset LIMIT 1"
    ((newer,),) = warehouse.query(progress.format("offset"))
    warehouse.execute(
        f"INSERT INTO funnel_progress {progress.format('* REPLACE (version + 1 AS version)')}"
    )
    return str(older), str(newer)


def test_the_sink_sees_rows_that_are_gone_or_too_many(tmp_path: Path) -> None:
    """The gauges say how many until it is mended; a partition given back is told no more."""
    metrics = SinkMetrics()

    def told() -> tuple[float | None, float | None]:
        labels = {"topic": "facts", "partition": "0"}
        names = ("touchline_sink_missing_rows", "touchline_sink_extra_rows")
        missing, extra = (metrics.registry.get_sample_value(name, labels) for name in names)
        return missing, extra

    def insert(*offsets: int) -> None:
        rows = [FACTS.row(("facts", 0, offset, 1_700_000_000_000), FACT) for offset in offsets]
        warehouse.insert("facts", FACTS.columns, rows)

    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        migrate(warehouse)
        check = RowCheck("facts", warehouse, metrics)
        asyncio.run(check.look())
        assert told() == (None, None)
        insert(10, 11, 13, 14)
        insert(11)  # again: the same row
        check.note(HERE, 10, 15, 4)
        asyncio.run(check.look())
        assert told() == (0, 0)
        insert(17)
        check.note(HERE, 15, 20, 3)
        asyncio.run(check.look())
        assert told() == (2, 0)
        insert(16, 18, 19)
        asyncio.run(check.look())
        assert told() == (0, 1)
        warehouse.execute("ALTER TABLE facts DELETE WHERE offset = 19 SETTINGS mutations_sync = 2")
        asyncio.run(check.look())
        assert told() == (0, 0)
        check.forget()
        assert told() == (None, None)


def test_the_sink_does_not_miss_what_its_table_forgets(tmp_path: Path) -> None:
    """A log that is older than the table keeps goes in, and away again, without an alert."""
    metrics, now = SinkMetrics(), int(time.time() * 1000)
    with closing(open_warehouse(f"chdb://{tmp_path}/tables")) as warehouse:
        migrate(warehouse, Deployment(keep_days={"facts": 90}))
        assert kept_since(warehouse, now) == {"facts": now - 89 * DAY}

        async def commit(_offsets: dict[TP, int]) -> bool:
            return True

        async def fill() -> None:
            buffer = SinkBuffer(FACTS, warehouse, commit, metrics)
            buffer.check.kept_since = now - 89 * DAY
            times = [now - 400 * DAY] * 3 + [now - DAY] * 2
            rows = [FACTS.row(("facts", 0, n, at), FACT) for n, at in enumerate(times)]
            await buffer.add(HERE, rows, 0, 5)
            await buffer.flush()
            warehouse.execute("OPTIMIZE TABLE facts FINAL")
            await buffer.check.look()

        asyncio.run(fill())
        assert warehouse.query("SELECT count() FROM facts FINAL") == [(2,)]
    labels = {"topic": "facts", "partition": "0"}
    assert metrics.registry.get_sample_value("touchline_sink_missing_rows", labels) == 0
    assert metrics.registry.get_sample_value("touchline_sink_extra_rows", labels) == 0
