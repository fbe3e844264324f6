"""What can be checked of docker-compose.yml, the image and the alerts without a Docker engine."""

import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
import yaml

from streams.cli import cli
from streams.metrics import ShardCollector, SinkMetrics, WorkerMetrics
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {
    name: service for name, service in SERVICES.items() if service["image"].startswith("touchline:")
}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
# Where the wheel keeps the folders that are not packages.
MOVED = {"playbooks": "schemas/data/playbooks", "examples": "schemas/data/examples"}


def run(
    *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it says is kept, an exit code is no error."""
    return subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)


def interpolated(value: str) -> str:
    """Return a value of the compose file as it is when the caller's environment is empty."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)


def client_with_compose() -> str | None:
    """Return the Docker client, if it has the compose plugin."""
    docker = shutil.which("docker")
    return docker if docker and run(docker, "compose", "version").returncode == 0 else None


def exported_metrics() -> set[str]:
    """Return the name of every sample that a worker or a sink can give to Prometheus."""

    class NoShards:
        shards: dict[int, Any] = {}  # noqa: RUF012 - what the collector asks for

    collectors = (WorkerMetrics().registry, SinkMetrics().registry, ShardCollector(NoShards()))
    names: set[str] = set()
    for metric in chain.from_iterable(collector.collect() for collector in collectors):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {metric.name + suffix for suffix in suffixes.get(metric.type, [""])}
    return names


def test_the_compose_client_accepts_the_file() -> None:
    """`docker compose config` finds nothing wrong."""
    docker = client_with_compose()
    if docker is None:
        pytest.skip("no docker client with the compose plugin")
    config = run(docker, "compose", "--profile", "*", "config", "--quiet")

    assert config.returncode == 0, config.stderr


def test_every_image_is_pinned() -> None:
    """An image is named with the version that it has, never `latest`."""
    built_on = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images = [service["image"] for service in SERVICES.values()] + built_on

    assert [image for image in images if not re.search(r":v?\d+\.\d+[\w.-]*$", image)] == []


def test_the_kafka_of_the_tests_is_the_kafka_of_compose() -> None:
    """`make kafka` and docker compose run the same version of Apache Kafka."""
    pom = (DEPLOY / "kafka" / "pom.xml").read_text()
    version = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>(.+?)<", pom)

    assert version is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    """Nobody else on the network reaches a container."""
    ports = SERVICES[name].get("ports", [])

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_compose_are_ours(name: str) -> None:
    """Each TOUCHLINE_ variable exists, and its value is accepted."""
    given = {k: interpolated(v) for k, v in OURS[name]["environment"].items()}

    assert set(given) <= Settings.variables()
    assert Settings.load(given).bootstrap == "kafka:9092"


@pytest.mark.parametrize("name", OURS)
def test_the_commands_of_compose_exist(name: str) -> None:
    """Each container runs a command that `touchline` has."""
    command: Any = cli
    for word in OURS[name]["command"]:
        command = command.commands[word]

    assert command.help


def test_whoever_waits_for_health_waits_for_something_that_tells_it() -> None:
    """A dependency on a healthy service is on one with a health check."""
    waited = {
        on
        for service in SERVICES.values()
        for on, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }

    assert {name for name in waited if "healthcheck" not in SERVICES[name]} == set()


@pytest.mark.parametrize("name", SERVICES)
def test_the_files_that_are_mounted_exist(name: str) -> None:
    """A bind mount of a missing path would silently make an empty folder."""
    volumes = SERVICES[name].get("volumes", [])
    sources = [volume.split(":")[0] for volume in volumes if ":" in volume]

    assert [s for s in sources if s not in COMPOSE["volumes"] and not (ROOT / s).exists()] == []


def test_each_worker_has_a_volume_of_its_own_for_its_profiles() -> None:
    """Scaled workers must not share a folder, and must be let into it: the image makes it."""
    worker = SERVICES["worker"]
    folder = worker["environment"]["TOUCHLINE_DATA"]

    assert folder in worker["volumes"]
    assert f"--owner=touchline {folder}" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_questions_are_asked_as_the_user_that_clickhouse_knows(name: str) -> None:
    """Compose mounts the reader, with the password and the database that the URL says."""
    server = SERVICES["clickhouse"]
    environment = {key: interpolated(value) for key, value in server["environment"].items()}
    file = next(v.split(":")[0] for v in server["volumes"] if "/users.d/" in v)
    known = ET.parse(ROOT / file).find("users/touchline_reader")  # noqa: S314 - ours
    assert known is not None
    variable = known.find("password").attrib["from_env"]  # type: ignore[union-attr]
    assert not variable.startswith(PREFIX), "whoever exports it stops every command of ours"
    password = environment[variable]
    url = urlsplit(interpolated(OURS[name]["environment"]["TOUCHLINE_WAREHOUSE_READER"]))

    assert (url.username, url.password, url.hostname) == (known.tag, password, "clickhouse")
    assert url.path == f"/{environment['CLICKHOUSE_DB']}"
    assert f"SELECT ON {url.path[1:]}.*" in "".join(known.itertext())


def test_the_reference_names_every_setting_with_its_default() -> None:
    """deploy/reference.env cannot go stale."""
    text = (DEPLOY / "reference.env").read_text()
    written = dict(re.findall(r"^# (TOUCHLINE_\w+)=(.*)$", text, re.MULTILINE))
    defaults = {f"TOUCHLINE_{name.upper()}": str(value) for name, value in Settings.load({})}

    assert written == defaults


def test_the_image_copies_what_exists_and_is_let_through() -> None:
    """Each source of a COPY is in the project and not held back by .dockerignore."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    ignore = (ROOT / ".dockerignore").read_text().splitlines()

    assert {source for source in sources if not (ROOT / source).exists()} == set()
    assert sources == {line[1:] for line in ignore if line.startswith("!")}


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_image_is_healthy_when_its_worker_says_so(status: int, *, healthy: bool) -> None:
    """The health check of the image believes the answer of /health."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server asks for
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    command = re.search(r"^HEALTHCHECK [^\[]*CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert command is not None
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        check = run(
            sys.executable,
            *json.loads(command[1])[1:],
            env={"TOUCHLINE_WEB_PORT": str(server.server_port)},
        )
        server.shutdown()
        thread.join()

    assert (check.returncode == 0) is healthy


@pytest.mark.parametrize("path", ["prometheus/alerts.yml", "grafana/dashboards/touchline.json"])
def test_alerts_and_dashboard_ask_for_metrics_that_exist(path: str) -> None:
    """An alert on a misspelt metric never fires."""
    asked = set(re.findall(r"\b(?:touchline|process)_\w+", (DEPLOY / path).read_text()))

    assert asked - exported_metrics() == set()


def test_each_counter_and_gauge_is_looked_at() -> None:
    """What is measured is on the dashboard or in an alert, but for how far a copy is in offsets."""
    files = ("prometheus/alerts.yml", "grafana/dashboards/touchline.json")
    asked = {n for f in files for n in re.findall(r"\btouchline_\w+", (DEPLOY / f).read_text())}
    of_histograms = re.compile(r".*_(bucket|sum|count)")
    ours = {name for name in exported_metrics() if name.startswith("touchline_")}
    single = {name for name in ours if not of_histograms.fullmatch(name)}

    assert single - asked == {"touchline_standby_offset"}


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prometheus' own tool: the one that is installed, or that of Debian's package, unpacked."""
    installed = shutil.which("promtool")
    if installed is not None:
        return installed
    if shutil.which("apt-get") is None:
        pytest.skip("promtool is not installed, and there is no apt-get to fetch it with")
    folder = tmp_path_factory.mktemp("prometheus")
    # Without an update first: it would hold the lock that another test's installation waits for.
    fetch = "apt-get download -qq prometheus && dpkg -x prometheus_*.deb ."
    if run("sh", "-c", fetch, cwd=folder).returncode:
        pytest.skip("promtool is not installed, and its package is not to be had: apt-get update")
    return str(folder / "usr/bin/promtool")


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus/prometheus.yml"),
        ("test", "rules", "prometheus/alerts.test.yml"),
    ],
    ids=["config", "rules"],
)
def test_prometheus_accepts_its_files(promtool: str, arguments: tuple[str, ...]) -> None:
    """The configuration is valid, and the alerts fire when they should and only then."""
    check = run(promtool, *arguments, cwd=DEPLOY)

    assert check.returncode == 0, check.stdout + check.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built as the image builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    build = run(*pip, "--wheel-dir", folder, ROOT)
    assert build.returncode == 0, build.stderr
    with zipfile.ZipFile(next(folder.glob("touchline-*.whl"))) as archive:
        yield archive


@pytest.mark.parametrize(
    "pattern",
    [
        "schemas/avro/**/*.avsc",
        "schemas/topics.yaml",
        "schemas/examples/**/*",
        "sinks/ddl/*.sql",
        "playbooks/*.yaml",
        "examples/*",
        "*/py.typed",
    ],
)
def test_the_wheel_carries_the_data(wheel: zipfile.ZipFile, pattern: str) -> None:
    """What the packages read at run time is in the wheel."""
    files = {str(p.relative_to(ROOT)) for p in ROOT.glob(pattern) if p.is_file()}
    expected = {
        f"{MOVED[top]}/{rest}" if (top := file.split("/")[0]) in MOVED else file
        for file in files
        for rest in [file.partition("/")[2]]
    }

    assert expected
    assert expected - set(wheel.namelist()) == set()


def test_an_installed_wheel_finds_its_data(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Playbooks and examples are found without a checkout."""
    wheel.extractall(tmp_path)
    script = "from schemas.shipped import shipped as s; print(s('playbooks'), s('examples'))"
    found = run(sys.executable, "-c", script, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})

    assert found.stdout.split() == [str(tmp_path / "schemas" / "data" / x) for x in MOVED]


def test_each_alert_has_its_page_in_the_runbook() -> None:
    """Whoever is woken finds a section with the alert's name."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    alerts = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    }
    runbook = (ROOT / "docs/operations.md").read_text()
    headings = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    assert alerts <= headings
