"""The command line as people and scripts use it, without a broker."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.shipped import shipped
from streams.app import build_app
from streams.cli import cli, main
from streams.cli.run import announce
from streams.settings import Settings

NOWHERE = "--bootstrap 127.0.0.1:1"
STEPS = str(shipped("examples/first-steps.jsonl"))


def touchline(*arguments: str, text: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, input=text)


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself(command: str) -> None:
    """``--help`` of each command says what it does in a sentence or more."""
    result = touchline(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.split("Options:")[0].split()) > 10


def test_simulate_prints_one_canonical_line_a_person_in_order() -> None:
    """The dump has a JSON line a person, ordered by user id, keys sorted."""
    lines = touchline("simulate", STEPS, "--profiles").stdout.splitlines()
    people = [json.loads(line) for line in lines]
    assert [person["user_id"] for person in people] == ["ann", "bob"]
    assert lines == [
        json.dumps(person, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for person in people
    ]


@pytest.mark.parametrize(
    "name", ["exam-prep", "growth-loop", "refined-retail", "vocational-course"]
)
def test_simulate_dumps_the_people_of_each_shipped_playbook(name: str) -> None:
    """Whatever a profile holds, sums and points by time included, its line is JSON."""
    events = str(shipped(f"examples/{name}.jsonl"))
    result = touchline("simulate", events, "--playbook", name, "--profiles")
    assert result.exit_code == 0, result.output
    people = [json.loads(line)["user_id"] for line in result.stdout.splitlines()]
    told = [json.loads(line)["user_id"] for line in Path(events).read_text().splitlines()]
    assert people == sorted(set(told))


def test_simulate_lets_the_clock_run_on() -> None:
    """The reminder comes only when the clock passes its time; the repeat counts as a duplicate."""
    before = json.loads(touchline("simulate", STEPS, "--summary").stdout)
    after = json.loads(
        touchline("simulate", STEPS, "--summary", "--until", "2026-02-04T10:00:00+08:00").stdout
    )
    assert (before["actions"], after["actions"]) == (0, 1)
    assert (after["applied"], after["duplicates"]) == (4, 1)


def test_simulate_reads_standard_input() -> None:
    """``-`` is standard input."""
    text = Path(STEPS).read_text()
    assert touchline("simulate", "-", "--json", text=text).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text", "wanted"),
    [
        (["simulate", "-"], "{}\n", "line 1"),
        (["simulate", "-", "--until", "2026-02-04"], "", "time zone"),
        (["profiles", "--url", "ftp://x"], None, "http://"),
        (["worker", *NOWHERE.split(), "--registry", "here"], None, "--registry: "),
    ],
)
def test_errors_name_the_cause(arguments: list[str], text: str | None, wanted: str) -> None:
    """A user's mistake ends with a message about it, not a traceback, and a failing exit code."""
    result = touchline(*arguments, text=text)
    assert result.exit_code != 0
    assert wanted in f"{result.output}{result.exception}"


@pytest.mark.parametrize("form", ["", "--json", "--summary"])
def test_a_place_that_is_full_is_told_in_one_line(form: str) -> None:
    """Also where all of it would fit into Python's own buffer."""
    command = [sys.executable, "-m", "streams", "simulate", STEPS, *form.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no more can be written (No space left on device): make room" in done.stderr


def said_by(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, list[str]]:
    """Run the whole command; return its exit code and the lines of stderr."""
    monkeypatch.setattr("sys.argv", ["touchline", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("command", ["worker", "sink"])
def test_a_port_that_is_taken_is_told_with_its_cure(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, before anybody is asked for anything."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = said_by(f"{command} {NOWHERE} --web-port {port}", monkeypatch, capsys)
    cure = f"touchline: port {port} of 127.0.0.1 is taken: --web-port another, or 0 for no pages"
    assert ended == (1, [cure])


def test_an_address_of_another_machine_is_told_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""
    ended = said_by(f"worker {NOWHERE} --web-host 192.0.2.1", monkeypatch, capsys)
    assert ended[0] == 1
    assert "no pages can be served at 192.0.2.1:6066" in ended[1][0]
    assert "--web-host an address of this machine" in ended[1][0]


def test_all_mistakes_are_told_under_one_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that click finds like our own; a wrong option also shows how the command is used."""
    code, lines = said_by("worker --nope", monkeypatch, capsys)
    assert (code, lines[0]) == (2, "Usage: touchline worker [OPTIONS]")
    assert lines[-1].startswith("touchline: No such option: --nope")
    code, lines = said_by("explain --user nobody --events " + STEPS, monkeypatch, capsys)
    assert (code, lines) == (1, ["touchline: nothing is known of 'nobody' there"])


@pytest.mark.parametrize(("port", "told"), [(0, "; no pages; "), (7, ":7/health /metrics; ")])
def test_a_worker_says_where_its_pages_are(
    port: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``--web-port 0`` there are none."""
    announce(build_app(Settings(web_port=port)), "worker")
    assert told in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("command", "cure"),
    [
        (
            "playbook check FOLDER/mine.yaml",
            "there is no FOLDER/mine.yaml: did you mean FOLDER/min",
        ),
        ("playbook show FOLDER/xy/mine.yaml", "for there is no folder FOLDER/xy: correct the path"),
        ("playbook check FOLDER/mint.yaml/x.yaml", "there is no folder FOLDER/mint.yaml"),
        ("playbook check exam-prap", "no playbook 'exam-prap' ships with touchline; did you mean"),
        ("playbook show mine", "(a file of your own ends in .yaml)"),
        ("simulate FOLDER/x.jsonl", "there is no FOLDER/x.jsonl: correct its name"),
        ("simulate FOLDER", "FOLDER is a folder: name a file in it"),
        ("publish FOLDER/x.jsonl", "there is no FOLDER/x.jsonl"),
        ("explain --user u --events FOLDER/x.jsonl", "there is no FOLDER/x.jsonl"),
        ("why-not --user u --sop second-purchase --events FOLDER/x.jsonl", "there is no FOLDER/x"),
        ("rfm means --events FOLDER/x.jsonl", "there is no FOLDER/x.jsonl"),
        (
            "backtest --playbook exam-prep --against exam-prep --events FOLDER/x.jsonl",
            "there is no FOLDER/x.jsonl",
        ),
        ("funnel --playbook FOLDER/x.yaml", "there is no FOLDER/x.yaml"),
        # Without asking a Kafka first, which is not there.
        (f"worker {NOWHERE} --playbook FOLDER/x.yaml", "there is no FOLDER/x.yaml"),
        (f"explain {NOWHERE} --user u --playbook FOLDER/x.yaml", "there is no FOLDER/x.yaml"),
        (f"why-not {NOWHERE} --user u --sop s --playbook FOLDER/x.yaml", "there is no FOLDER/x"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_cure(
    command: str,
    cure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One plain line wherever a file is asked for: no numbers of the system, exit code 1."""
    (tmp_path / "mint.yaml").touch()
    code, (told,) = said_by(command.replace("FOLDER", str(tmp_path)), monkeypatch, capsys)
    assert code == 1
    assert told.startswith("touchline: ")
    assert cure.replace("FOLDER", str(tmp_path)) in told


def test_funnel_lists_the_funnels_of_the_playbook() -> None:
    """Without a name the command says what there is."""
    assert "repeat-purchase: first purchase -> second purchase" in touchline("funnel").stdout


def test_a_funnel_of_a_running_sink_is_asked_for_as_it_was_written() -> None:
    """Its name goes in the address, --ad-hoc with it; what the sink cannot answer is refused."""
    paths = []

    class Sink(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server asks for
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            source = {"from": "raw touches", "why": "as asked"}
            self.wfile.write(json.dumps({"funnel": "f", "steps": [], "source": source}).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Sink) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert touchline("funnel", "复购 90", "--url", url).exit_code == 0
        assert touchline("funnel", "f", "--url", url, "--ad-hoc", "--json").exit_code == 0
        for more in (["--since", "2026-01-01"], ["--step", "page_viewed"], ["--fell-out", "1"]):
            refused = touchline("funnel", "f", "--url", url, *more)
            assert refused.exit_code == 2
            assert more[0] in refused.output
        assert touchline("funnel", "--url", url).exit_code == 2
        server.shutdown()
        thread.join()

    assert paths == ["/funnel/%E5%A4%8D%E8%B4%AD%2090", "/funnel/f?ad_hoc=1"]
