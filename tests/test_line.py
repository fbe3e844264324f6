"""The main job on a real Kafka and real purchases: every figure against plain Python."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import cdnow_oracle as oracle
import pytest
from the_line import TheLine, await_account, dump, the_line

from schemas.jsonlines import format_line
from schemas.playbook import find_playbook
from sinks.funnel import run_funnel
from sinks.warehouse import open_warehouse
from streams.broken import broken_records
from streams.cdnow import read_purchases, to_touchpoints
from streams.cli.demo import await_sink
from streams.cli.pages import read_json
from streams.funnels import find_funnel

TODAY = date(2025, 6, 30)  # Kafka refuses record times in the future
pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Run:
    """What one run of the line left behind."""

    line: TheLine
    published: int
    account: dict[str, int]
    profiles: list[str]
    funnel: dict[str, Any]
    ad_hoc: dict[str, Any]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def run(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Publish the purchases and six broken records to a worker and a sink, and let them finish."""
    folder = tmp_path_factory.mktemp("line")
    prefix = f"line-{uuid4().hex[:8]}-"
    broken = broken_records()
    with the_line(kafka_bootstrap, prefix, folder) as line, line.worker() as worker:
        with line.sink() as sink:
            worker.wait_ready()
            sink.wait_ready()
            published = line.publish(to_touchpoints(read_purchases(), TODAY)) + len(broken)
            with line.publisher() as publisher:
                for record in broken:
                    publisher.publish_raw(record.key, record.value)
            found = await_account([worker], published)
            await_sink(worker, sink)
            funnel = read_json(f"{sink.url}/funnel/repeat-purchase")
            ad_hoc = read_json(f"{sink.url}/funnel/repeat-purchase?ad_hoc=1")
            rows = read_json(f"{sink.url}/tables")
        yield Run(line, published, found, dump([worker]), funnel, ad_hoc, rows)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The same purchases through ``touchline simulate``: its dump and its actions."""
    file = tmp_path_factory.mktemp("simulated") / "cdnow.jsonl"
    with file.open("w") as stream:
        stream.writelines(
            format_line(each) + "\n" for each in to_touchpoints(read_purchases(), TODAY)
        )
    return {show: _simulate(file, f"--{show}") for show in ("profiles", "actions")}


def _simulate(file: Path, show: str) -> list[str]:
    command = [sys.executable, "-m", "streams", "simulate", str(file), show]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()


def test_the_four_accounts_add_up_to_what_was_published(run: Run) -> None:
    """Every record is applied, a duplicate, late or a dead letter: nothing is lost."""
    assert run.account == {"applied": 69_659, "duplicate": 0, "late": 0, "dead": 6}
    assert sum(run.account.values()) == run.published


def test_each_customer_has_the_figures_of_the_raw_file(run: Run) -> None:
    """Frequency, money to the cent and the last day equal plain sums, for all 23,570 customers."""
    found = {
        person["user_id"]: oracle.Rfm(
            person["frequency"], person["monetary_minor"], _day(person["last_paid_at"])
        )
        for person in map(json.loads, run.profiles)
    }
    assert found == oracle.rfm_by_customer(TODAY)


def test_the_funnel_counts_what_the_raw_file_has(run: Run) -> None:
    """First, second and third purchase within 90 days equal a plain count of the file."""
    people = [step["people"] for step in run.funnel["steps"]]
    assert people == oracle.funnel_counts(3, timedelta(days=90))


def test_the_worker_kept_the_funnel_and_it_is_the_one_of_the_raw_touches(run: Run) -> None:
    """All was answered from live rows, nobody from raw touches, and both answers are the same."""
    assert run.funnel["source"]["from"] == "live rows"
    assert run.funnel["source"]["people_from_raw_touches"] == 0
    query = find_funnel(find_playbook(run.line.settings.playbook), "repeat-purchase")
    with closing(open_warehouse(run.line.settings.warehouse)) as warehouse:
        raw = run_funnel(warehouse, query)
    assert run.funnel["steps"] == [step._asdict() for step in raw.steps]
    assert run.ad_hoc["source"] == {"from": "raw touches", "why": "as asked"}
    assert run.ad_hoc["steps"] == run.funnel["steps"]


def test_a_reminder_goes_to_whoever_did_not_come_back(run: Run) -> None:
    """Each customer without a second purchase in 30 days gets one reminder, and nobody else."""
    receivers = [action.user_id for action in run.line.actions()]
    assert sorted(receivers) == sorted(oracle.reminded(timedelta(days=30)))


def test_simulate_gives_the_same_profiles_byte_for_byte(
    run: Run, simulated: dict[str, list[str]]
) -> None:
    """The pure fold over a file and the worker on Kafka leave the same canonical dump."""
    assert run.profiles == simulated["profiles"]


def test_simulate_requests_the_same_actions(run: Run, simulated: dict[str, list[str]]) -> None:
    """The set of action ids on the trigger topics is that of the pure fold, each once."""
    on_topics = [action.action_id for action in run.line.actions()]
    folded = [json.loads(line)["action_id"] for line in simulated["actions"]]
    assert sorted(on_topics) == sorted(folded)


def test_each_broken_record_is_one_dead_letter(run: Run) -> None:
    """A broken record is set aside once, whole, with its reason and its place in the log."""
    places = {
        (record.partition, record.offset): record
        for record in run.line.read("touchpoints")
        if record.key in {None, b"broken"}
    }
    letters = run.line.dead_letters()
    assert sorted((each.partition, each.offset) for each in letters) == sorted(places)
    assert sorted((each.reason, each.value) for each in letters) == sorted(
        (each.reason, each.value) for each in broken_records()
    )
    assert all(each.value == places[each.partition, each.offset].value for each in letters)


def test_clickhouse_has_a_row_for_each_record_of_the_log(run: Run) -> None:
    """The tables hold what the topics hold, of upserts one row a key."""
    assert run.rows == {
        "touchpoints": 69_659,
        "facts": len(run.line.read("facts")),
        "actions": len(run.line.actions()),
        "dead_letters": 6,
        "aggregates": len({(r.partition, r.key) for r in run.line.read("aggregates")}),
        "funnel_progress": len({(r.partition, r.key) for r in run.line.read("funnel-progress")}),
    }


def _day(milliseconds: Any) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()
