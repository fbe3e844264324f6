"""``touchline demo``: the whole line with embedded parts, as a newcomer runs it."""

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import cdnow_oracle as oracle
import pytest
from rich.cells import cell_len
from rich.console import Console

from streams.broken import broken_records
from streams.cli import demo_report
from streams.cli.demo_report import print_report


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``touchline demo --json`` prints, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "streams", "demo", "--json", "--data", str(folder / "data")]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demonstration_accounts_for_every_record(figures: Any) -> None:
    """Published equals applied, duplicates, late and dead letters; the screen says so itself."""
    assert figures["balanced"]
    assert figures["account"] == {"applied": 69_659, "duplicate": 0, "late": 0, "dead": 6}


def test_the_demonstration_shows_the_figures_of_the_raw_file(figures: Any) -> None:
    """Segments, orders and money are exact at the last day, and so are funnel and reminders."""
    today = oracle.last_day()
    customers = oracle.rfm_by_customer(today).values()
    segments = figures["segments"].values()
    # The cuts of the playbook: 90 days, 3 orders, 50 dollars.
    whole = Counter(
        ((today - each.last).days <= 90, each.frequency >= 3, each.cents >= 5_000)
        for each in customers
    )
    assert sorted(row["people"] for row in segments) == sorted(whole.values())
    assert sum(row["orders"] for row in segments) == sum(each.frequency for each in customers)
    assert sum(row["revenue_minor"] for row in segments) == sum(each.cents for each in customers)
    assert figures["funnel"]["source"]["from"] == "live rows"
    people = [step["people"] for step in figures["funnel"]["steps"]]
    assert people == oracle.funnel_counts(3, timedelta(days=90))
    assert figures["actions"] == len(oracle.reminded(timedelta(days=30)))


def test_the_demonstration_proves_what_it_did(figures: Any) -> None:
    """All that the log gives is there, and nothing else: the figures are those of the line."""
    proof = figures["proof"]
    assert proof["findings"] == []
    assert (proof["touchpoints"], proof["behind"]) == (figures["published"], 0)
    for name in ("people", "actions", "facts"):
        assert proof[name] == figures[name]


def test_the_demonstration_shows_where_broken_records_went(figures: Any) -> None:
    """Each broken record is listed with its place and reason."""
    reasons = sorted(letter["reason"] for letter in figures["dead_letters"])
    assert reasons == sorted(record.reason for record in broken_records())
    assert all(letter["place"].startswith("touchpoints/") for letter in figures["dead_letters"])


def test_the_demonstration_spares_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    """A data folder that holds other files is refused, and they stay."""
    (tmp_path / "mine.txt").write_text("keep me")
    command = [sys.executable, "-m", "streams", "demo", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert "holds other files" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_the_screen_of_the_demonstration_fits_a_terminal(
    figures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns no line is wider, and no sentence breaks before its line is full."""
    screen = StringIO()
    monkeypatch.setattr(demo_report, "out", Console(file=screen, width=80, color_system=None))
    print_report(figures)
    lines = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert max(cell_len(line) for line in lines) <= 80
    begin = next(n for n, line in enumerate(lines) if "actions requested" in line)
    sentence = lines[begin : lines.index("", begin)]
    for line, following in pairwise(sentence):
        assert len(f"{line} {following.split()[0]}") > 80, sentence
