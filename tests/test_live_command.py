"""``touchline live``: the live figures in a terminal and for machines."""

import json
from contextlib import closing
from random import Random

import pytest
from click.testing import CliRunner
from live_worlds import fold_cut, store
from strategies import DAY, START
from test_aggregates import view

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from sinks.migrations import migrate
from sinks.warehouse import open_warehouse
from streams.cli import cli


def test_the_command_shows_both_ways_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    """``touchline live`` answers in JSON and as a table, from the rows and from the raw log."""
    url = f"chdb://{tmp_path_factory.mktemp('asked')}/tables"
    playbook = compile_playbook(find_playbook("second-purchase"))
    log = [(view(n, START + n * DAY, channel="wecom"), START + n * DAY) for n in range(3)]
    with closing(open_warehouse(url)) as warehouse:
        migrate(warehouse)
        folded, random = fold_cut(log, [], playbook=playbook), Random(3)  # noqa: S311 - test data
        store(warehouse, log, folded, random, playbook=playbook)

    def run(*words: str) -> str:
        period = ("--since", "2023-11-14T00:00:00Z", "--until", "2023-11-30")
        asked = ["live", *words, *period, "--warehouse", url]
        result = CliRunner().invoke(cli, asked)
        assert result.exit_code == 0, result.output
        return result.output

    for unit in ("minute", "day"):
        words = ("--unit", unit, "--dimension", "channel", "--json")
        found = json.loads(run(*words))
        assert found == json.loads(run(*words, "--ad-hoc"))
        assert [(each["value"], each["touches"]) for each in found] == [("wecom", 1)] * 3
    assert "2023-11-15" in run("--unit", "day")
