"""``touchline rfm means``: the population measured, and the lines to paste into the playbook."""

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from cdnow_oracle import FILE
from click.testing import CliRunner, Result
from the_line import TheLine, await_account

from schemas.jsonlines import Line, format_line, read_lines
from schemas.playbook import load_playbook
from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.cli import cli

DAY = 86_400_000
PLAYBOOK = shipped("playbooks/second-purchase.yaml")


def means(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ("rfm", "means", *arguments))


@pytest.fixture(scope="module")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[int]]]]:
    """The purchases of every twentieth CDNOW customer: as JSON lines, and time and cents by id."""
    by_customer: dict[str, list[list[int]]] = {}
    events = []
    for number, line in enumerate(FILE.read_text().splitlines()[1:]):
        customer, day, _, dollars = line.split()
        if int(customer) % 20:
            continue
        at = int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1000
        cents = int(Fraction(dollars) * 100)
        by_customer.setdefault(customer, []).append([at, cents])
        payload = {"order_id": f"o{number}", "amount_minor": cents, "currency": "USD"}
        events.append(Touchpoint(f"e{number}", customer, at, "order_paid", payload))
    file = tmp_path_factory.mktemp("means") / "purchases.jsonl"
    events.sort(key=lambda event: event.occurred_at)
    file.write_text("".join(f"{format_line(event)}\n" for event in events))
    return file, by_customer


def totals(by_customer: dict[str, list[list[int]]], now: int) -> dict[str, int]:
    """Return what must be measured, by plain sums over the purchases up to a time."""
    known = [[each for each in mine if each[0] <= now] for mine in by_customer.values()]
    known = [mine for mine in known if mine]
    return {
        "version": 1,
        "as_of": now,
        "people": len(known),
        "recency_ms": sum(now - max(at for at, _ in mine) for mine in known),
        "frequency": sum(len(mine) for mine in known),
        "monetary_minor": sum(cents for mine in known for _, cents in mine),
    }


@pytest.mark.parametrize("day", ["1997-06-30", "1998-06-30"])
def test_totals_are_those_of_the_file_at_a_time(
    purchases: tuple[Path, dict[str, list[list[int]]]], day: str
) -> None:
    """As of any time, the snapshot has the plain sums of the purchases up to then."""
    file, by_customer = purchases
    now = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
    result = means("--events", str(file), "--as-of", f"{day}T00:00:00Z", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"rfm": {"means": totals(by_customer, now)}}


def test_what_is_printed_goes_into_the_playbook(
    purchases: tuple[Path, dict[str, list[list[int]]]], tmp_path: Path
) -> None:
    """Pasted in place of the old cuts, it is a playbook that compares with these means."""
    file, by_customer = purchases
    printed = means("--events", str(file)).stdout
    playbook = yaml.safe_load(PLAYBOOK.read_text()) | yaml.safe_load(printed)
    pasted = tmp_path / "pasted.yaml"
    pasted.write_text(yaml.safe_dump(playbook))
    last = max(at for mine in by_customer.values() for at, _ in mine)
    want = totals(by_customer, last)
    assert load_playbook(pasted).rfm.cuts() == (
        want["recency_ms"] // want["people"],
        -(-want["frequency"] // want["people"]),
        -(-want["monetary_minor"] // want["people"]),
    )
    again = means("--events", str(file), "--playbook", str(pasted), "--json")
    assert json.loads(again.stdout)["rfm"]["means"]["version"] == 2


def test_a_population_without_customers_has_no_means(tmp_path: Path) -> None:
    """It says so, in place of a division by nothing."""
    (tmp_path / "none.jsonl").write_text("")
    result = means("--events", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 1
    assert "nobody has an order that counts" in result.output


@pytest.mark.kafka
def test_workers_measure_their_partitions_and_the_totals_add_up(line: TheLine) -> None:
    """From a running worker comes what a fold of the same events gives."""
    steps = shipped("examples/first-steps.jsonl")
    with steps.open() as stream:
        events = [each.touchpoint for each in read_lines(stream) if isinstance(each, Line)]
    at = ("--as-of", "2026-03-01T00:00:00Z")
    with line.worker() as worker:
        worker.wait_ready()
        line.publish(sorted(events, key=lambda each: each.occurred_at))
        await_account([worker], len(events))
        live = means("--url", worker.url, *at, "--json")
        twice = means("--url", worker.url, "--url", worker.url, *at)
    assert live.exit_code == 0, live.output
    assert live.stdout == means("--events", str(steps), *at, "--json").stdout
    assert "two workers hold partition" in twice.output
