"""A ClickHouse that is away, slow or silent: the worker goes on, and no row is lost or twice."""

import signal
import subprocess
import sys
import time

import pytest
from figures import require_figures
from kafka import KafkaAdminClient
from orchestra import Program, await_lag, exit_code
from the_line import TheLine, await_that
from truth import require_rows, require_truth
from workload import LATER, touches

from sinks.tables import TABLES
from streams.cli.demo import await_sink
from streams.cli.pages import read_json, read_lines
from streams.sink_buffer import FULL

pytestmark = pytest.mark.kafka


class FaultySink(Program):
    """A sink as a process, whose warehouse does what it is told."""

    def __init__(self, line: TheLine) -> None:
        self._wish = line.folder / "wish"
        super().__init__(line, "faulty_sink", str(self._wish))
        self.tell("ok")

    def tell(self, wish: str) -> None:
        """Say what the warehouse is to do from its next insert on."""
        self._wish.write_text(wish)


@pytest.mark.parametrize(
    "fault",
    [
        "lost",
        pytest.param("down", marks=pytest.mark.nightly),
        pytest.param("half", marks=pytest.mark.nightly),
        pytest.param("slow", marks=pytest.mark.nightly),
    ],
)
def test_a_faulty_clickhouse_delays_rows_and_changes_none(
    line: TheLine, seed: int, fault: str
) -> None:
    """The worker is not held up; when ClickHouse is well again, every row is there once."""
    with line.worker() as worker, FaultySink(line) as sink:
        sink.wait_ready()
        line.publish(touches(seed, 1_000))
        await_lag(line)
        await_sink(worker, sink)
        sink.tell(fault)
        line.publish(touches(seed + 1, 2_000, start=LATER))
        await_lag(line)  # the worker does not wait for ClickHouse
        if fault == "slow":
            time.sleep(4)
        else:
            await_that(lambda: told_lag(sink) == 2_000, "the sink does not tell its lag")
            await_that(lambda: waits_for(sink) == "ClickHouse", "it does not say what it waits for")
        sink.tell("ok")
        await_sink(worker, sink)
        require_truth(line, [worker])
    require_rows(line)
    require_figures(line)


def waits_for(sink: FaultySink) -> str:
    """Return what the sink says that it waits for; it is well."""
    told: str = read_json(f"{sink.url}/health")["waits_for"]
    return told.partition(",")[0]


def told_lag(sink: FaultySink) -> float:
    """Return how many touchpoints the sink tells Prometheus to be on their way."""
    lines = read_lines(f"{sink.url}/metrics")
    lags = (line for line in lines if line.startswith("touchline_sink_lag_records{"))
    return sum(float(line.rpartition(" ")[2]) for line in lags if "touchpoints" in line)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_clickhouse_is_away_for_ten_minutes_of_full_traffic(line: TheLine, seed: int) -> None:
    """The buffer stays bounded, the sink stays in its group, the worker goes on."""
    with line.worker(batch_records=1000) as worker, FaultySink(line) as sink:
        sink.wait_ready()
        sink.tell("down")
        line.publish(touches(seed, 200_000, people=5_000))
        await_lag(line)
        away_until = time.monotonic() + 600
        while time.monotonic() < away_until:
            sink.check()
            waiting = read_json(f"{sink.url}/health")["rows_waiting"]
            assert max(waiting.values()) <= 2 * FULL
            time.sleep(1)
        assert sink.log.read_text().count("Executing _on_partitions_assigned") == 1
        sink.tell("ok")
        await_sink(worker, sink)
        require_truth(line, [worker])
    require_rows(line)
    require_figures(line)


@pytest.mark.nightly
def test_a_sink_killed_while_clickhouse_is_away(line: TheLine, seed: int) -> None:
    """What it had gathered is read again, also where half of it had been stored."""
    with line.worker() as worker, FaultySink(line) as sink:
        sink.wait_ready()
        line.publish(touches(seed, 2_000))
        sink.tell("half")
        await_that(lambda: "wait" in sink.log.read_text(), "no insert failed")
        sink.kill()
        sink.tell("ok")
        sink.__enter__()
        sink.wait_ready()
        await_sink(worker, sink)
    require_rows(line)


@pytest.mark.nightly
def test_a_sink_killed_before_in_and_after_an_insert(line: TheLine, seed: int) -> None:
    """Nothing is stored, or half of it, or all but no offset: in the end each row is there once."""
    with line.worker() as worker:
        line.publish(touches(seed, 3_000))
        await_lag(line)
        for moment in ("die before", "die between", "die after"):
            with FaultySink(line) as sink:
                sink.tell(moment)
                assert exit_code(sink) == -signal.SIGKILL
        with FaultySink(line) as sink:
            sink.wait_ready()
            await_sink(worker, sink)
    require_rows(line)


@pytest.mark.nightly
@pytest.mark.parametrize("window", [0, 1, 1000])
def test_rows_inserted_again_long_after_change_nothing(
    line: TheLine, seed: int, window: int
) -> None:
    """The whole log again: without ClickHouse's own deduplication, past its window, or in it."""
    with FaultySink(line) as sink:
        sink.wait_ready()
    for table in TABLES:
        setting = f"non_replicated_deduplication_window = {window}"
        execute(line, f"ALTER TABLE {table.name} MODIFY SETTING {setting}")
    line.publish(touches(seed, 2_000))
    with line.worker() as worker, FaultySink(line) as sink:
        sink.wait_ready()
        await_lag(line)
        await_sink(worker, sink)
    require_rows(line)
    forget_group(line, f"{line.settings.group}-sink")
    with FaultySink(line):
        await_lag(line, group="-sink")
    require_rows(line)
    require_figures(line)


@pytest.mark.nightly
def test_a_table_that_does_not_fit_stops_the_sink_and_only_the_sink(
    line: TheLine, seed: int
) -> None:
    """Schema drift: the sink ends with exit code 1 and commits nothing; mended, it goes on."""
    line.publish(touches(seed, 500))
    with FaultySink(line) as sink:
        sink.wait_ready()
    execute(line, "ALTER TABLE touchpoints RENAME COLUMN payload TO payloads")
    with line.worker() as worker:
        worker.wait_ready()
        line.publish(touches(seed + 1, 500, start=LATER))
        with FaultySink(line) as sink:
            assert sink._process is not None
            assert sink._process.wait(60) == 1
        await_lag(line)
        execute(line, "ALTER TABLE touchpoints RENAME COLUMN payloads TO payload")
        with FaultySink(line) as sink:
            sink.wait_ready()
            await_sink(worker, sink)
        require_truth(line, [worker])
    require_rows(line)


def execute(line: TheLine, sql: str) -> None:
    """Run a statement on the embedded warehouse of a line whose sink has stopped."""
    program = (
        "import sys; from sinks.warehouse import open_warehouse; "
        "open_warehouse(sys.argv[1]).execute(sys.argv[2])"
    )
    command = [sys.executable, "-c", program, line.settings.warehouse, sql]
    subprocess.run(command, check=True)


def forget_group(line: TheLine, group: str) -> None:
    """Delete the offsets of a consumer group that has no members."""
    admin = KafkaAdminClient(bootstrap_servers=line.settings.bootstrap)
    try:
        await_that(lambda: not admin.describe_groups([group])[group]["members"], "it has members")
        admin.delete_groups([group])
    finally:
        admin.close()
