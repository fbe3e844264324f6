"""``touchline backtest``: the volume by day beside the caps, under two playbooks."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli import cli

OLD = """\
name: tour
version: 1
currency: CNY
timezone: Asia/Shanghai
rfm: {recency_days: 90, frequency: 2, monetary_minor: 100}
caps:
  - {name: day, at_most: 2, per: day, channels: [sms], then: drop}
  - {name: mass, at_most: 1, within: 2d, channels: [wecom_mass], each: [sender], then: defer}
sops:
"""
NEW = OLD.replace("at_most: 2", "at_most: 1")
SOP = """\
  - name: {name}
    version: 1
    enter: {{event: group_joined}}
    steps:
      - name: only
        action: {{family: message, template: t, channel: {channel}, sender: {sender}}}
"""
SOPS = "".join(
    SOP.format(name=f"s{number}", channel=channel, sender=sender)
    for number, (channel, sender) in enumerate(
        [("sms", "x"), ("sms", "x"), ("sms", "y"), ("wecom_mass", "li"), ("wecom_mass", "li")]
    )
)

JOINS = [
    {
        "event_id": f"{user}-1",
        "user_id": user,
        "occurred_at": "2026-05-01T19:00:00Z",
        "kind": "group_joined",
    }
    for user in ("ann", "bob")
]
LOG = "".join(f"{json.dumps(each)}\n" for each in JOINS)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ann and Bob join at seven in the evening of 1 May in UTC, which is 2 May in Shanghai."""
    folder = tmp_path_factory.mktemp("backtest")
    (folder / "old.yaml").write_text(OLD + SOPS)
    (folder / "new.yaml").write_text(NEW + SOPS)
    (folder / "log.jsonl").write_text(LOG)
    return json.loads(said(folder, "--json"))


def said(folder: Path, *more: str) -> str:
    """Return what the command prints."""
    files = {"--playbook": "new.yaml", "--against": "old.yaml", "--events": "log.jsonl"}
    arguments = [part for flag, name in files.items() for part in (flag, str(folder / name))]
    until = ("--until", "2026-05-06T00:00:00Z")
    result = CliRunner().invoke(cli, ["backtest", *arguments, *until, *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_volume_is_by_local_day_family_channel_and_sender(report: dict[str, Any]) -> None:
    """Each row says by which way, how many under either playbook, and which caps count it."""
    rows = {
        (row["day"], row["channel"], row["sender"]): (row["old"], row["new"], row["caps"]["old"])
        for row in report["volume"]
    }
    assert rows == {
        ("2026-05-02", "sms", "x"): (4, 2, ["day"]),
        ("2026-05-02", "wecom_mass", "li"): (2, 2, ["mass"]),
        ("2026-05-04", "wecom_mass", "li"): (2, 2, ["mass"]),
    }
    assert report["by_day"]["2026-05-02"] == {"old": 6, "new": 4}


def test_caps_say_who_is_at_them_and_what_they_held_back(report: dict[str, Any]) -> None:
    """Both people are at the daily cap; one message each is dropped, under the new cap two."""
    rows = {(row["day"], row["cap"]): row for row in report["caps"]}
    day = rows["2026-05-02", "day"]
    assert day["limit"] == {"old": "2 a day", "new": "1 a day"}
    assert day["old"] == {"people": 2, "dropped": 2, "deferred": 0}
    assert day["new"] == {"people": 2, "dropped": 4, "deferred": 0}


def test_a_rolling_cap_holds_people_until_it_has_room(report: dict[str, Any]) -> None:
    """Two days from 03:00 on: all of three calendar days, and again after the second message."""
    mass = {row["day"]: row["old"] for row in report["caps"] if row["cap"] == "mass"}
    assert mass["2026-05-02"] == {"people": 2, "dropped": 0, "deferred": 2}
    assert [day for day, row in mass.items() if row["people"] == 2] == [
        "2026-05-02",
        "2026-05-03",
        "2026-05-04",
        "2026-05-05",
        "2026-05-06",
    ]


def test_the_tables_are_readable(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two tables name day, way and cap; long lists say how to see the rest."""
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "old.yaml").write_text(OLD + SOPS)
    (tmp_path / "new.yaml").write_text(NEW + SOPS)
    event = {"event_id": "a", "user_id": "ann", "occurred_at": 1, "kind": "group_joined"}
    (tmp_path / "log.jsonl").write_text(json.dumps(event))
    told = said(tmp_path, "--limit", "1")
    assert "volume by day" in told
    assert "caps by day" in told
    assert "more rows; --limit or --json for all" in told
    assert report["only_new"] == []


def test_a_log_comes_through_a_pipe(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read only once, and both playbooks fold it; the figures are those of a file."""
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(OLD + SOPS)
    Path("new.yaml").write_text(NEW + SOPS)
    playbooks = ("--playbook", "new.yaml", "--against", "old.yaml")
    more = ("--events", "-", "--until", "2026-05-06T00:00:00Z", "--json")
    result = CliRunner().invoke(cli, ["backtest", *playbooks, *more], input=LOG)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == report
