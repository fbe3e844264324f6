"""Fetch and build the peers that are not of our environment: Quix Streams and Kafka Streams."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from peers.machine import HOME, ROOT, load_kafka

QUIX = "3.28.1"
JAVA_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC")
"""Half a GiB is plenty for 20,000 people; the serial collector uses the least CPU on two cores."""

_HERE = Path(__file__).resolve().parent / "kafka_streams"
_STREAMS = HOME / "kafka-streams"


class BuildError(RuntimeError):
    """A peer cannot be built; the message says what is missing."""


def build_quix() -> Path:
    """Return the Python of an environment with Quix Streams and what Touchline's codec needs."""
    python = HOME / "quix" / "bin" / "python"
    stamp = HOME / "quix" / f"touchline-{QUIX}"
    if not stamp.exists():
        print("Installing Quix Streams (once) ...", file=sys.stderr)
        shutil.rmtree(HOME / "quix", ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(HOME / "quix")])
        wanted = [f"quixstreams=={QUIX}", "fastavro", "msgspec"]
        _run([str(python), "-m", "pip", "install", "--quiet", *wanted])
        stamp.touch()
    return python


def build_streams() -> list[str]:
    """Compile the Kafka Streams peer; return the command that runs it, without its arguments."""
    java = load_kafka().find_java()
    javac, maven = shutil.which("javac"), shutil.which("mvn")
    if not (javac and maven):
        raise BuildError("Kafka Streams needs javac and mvn: install a JDK (17 or newer) and Maven")
    lib, classes, stamp = _STREAMS / "lib", _STREAMS / "classes", _STREAMS / "pom.xml"
    if not stamp.exists() or stamp.read_bytes() != (_HERE / "pom.xml").read_bytes():
        print("Fetching Kafka Streams with Maven (once) ...", file=sys.stderr)
        copy = [maven, "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
        _run([*copy, "-DincludeScope=runtime", f"-DoutputDirectory={lib}"])
        shutil.copyfile(_HERE / "pom.xml", stamp)
    _run([javac, "-nowarn", "-cp", f"{lib}/*", "-d", str(classes), str(_HERE / "Peer.java")])
    return [java, *JAVA_FLAGS, "-cp", f"{classes}:{lib}/*", "Peer"]


def find_versions(quix: Path | None) -> dict[str, str]:
    """Return the versions of what takes part."""
    ours = ("touchline", "faust-streaming", "aiokafka", "fastavro", "msgspec")
    versions = _packages(Path(sys.executable), ours)
    if quix is not None:
        versions |= _packages(quix, ("quixstreams", "confluent-kafka"))
    for jar in sorted((_STREAMS / "lib").glob("*.jar")):
        for name in ("kafka-streams", "avro"):
            if jar.stem.startswith(f"{name}-"):
                versions[f"{name} (Java)"] = jar.stem.removeprefix(f"{name}-")
    return versions


def _packages(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    code = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps({n: version(n) for n in sys.argv[1:]}))"
    )
    return dict(json.loads(_run([str(python), "-c", code, *names])))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise BuildError(f"{' '.join(command[:4])} ... failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
