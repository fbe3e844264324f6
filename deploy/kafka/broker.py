"""One Apache Kafka broker as a process of this machine: loopback only, no Docker, no installation.

Standard library only: ``kafka.py`` runs it before anything is installed, and the tests load it to
have brokers that they can break. For Linux and macOS.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / ".kafka"
POM = HERE / "pom.xml"
(VERSION,) = re.findall(r"<artifactId>kafka_.+</artifactId>\s*<version>(.+)<", POM.read_text())
LIB = HOME / f"lib-{VERSION}"
HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
REPLICAS = 3  # of each topic, where there are so many brokers; all but one must have a record

# A small heap, and only the quick compiler: ready in 2.3 s instead of 3.8 (two cores).
JAVA_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class BrokerError(Exception):
    """The broker cannot do what was asked; the message says why and what to do."""


class KafkaBroker:
    """One broker process and its folder.

    A running broker holds a lock on ``DIR/lock``: the lock, not the pid file, says whether it
    lives, so a pid used again by another program is never signalled, and a death is seen at once.

    Args:
        data: folder of this broker alone, created at start.
        port: loopback port for clients.
        controller_port: loopback port of the controller; the one after ``port`` by default.
        lib: folder of the jars of one version, shared by all brokers.
        node: the number of this broker in its cluster.
        voters: the controller port of every broker of the cluster, this one included, by number;
            this one alone by default. Give all of them the same ``cluster``.
        cluster: the id of the cluster; a new one by default.
    """

    def __init__(
        self,
        data: Path,
        port: int = 9092,
        controller_port: int | None = None,
        lib: Path = LIB,
        *,
        node: int = 1,
        voters: Mapping[int, int] | None = None,
        cluster: str = "",
    ) -> None:
        self.data = data.resolve()
        self.port = port
        self.controller_port = controller_port or port + 1
        self.lib = lib
        self.node = node
        self.voters = voters or {node: self.controller_port}
        self.cluster = cluster or new_cluster_id()
        self.log = self.data / "broker.log"
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    def started_in(cls, data: Path) -> "KafkaBroker | None":
        """Return the broker that was last started in this folder, None when there was none."""
        with suppress(FileNotFoundError):
            for line in (data / "server.properties").read_text().splitlines():
                if line.startswith("advertised.listeners="):
                    return cls(data, int(line.rpartition(":")[2]))
        return None

    @property
    def bootstrap(self) -> str:
        """Where clients connect: ``host:port``."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the running broker, None when it does not run."""
        try:
            with (self.data / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            written = (self.data / "pid").read_text()
            if not written:
                raise BrokerError(f"a start is under way in {self.data}: try again") from None
            return int(written)
        return None

    def start(self, *, wait: bool = True) -> None:
        """Start the broker and wait until it answers; no effect when it runs already.

        The first brokers of a cluster answer when most of them run: start them without waiting.

        Raises:
            BrokerError: no Java or Maven, a port in use, or the broker ended or stayed silent.
        """
        if self.pid is not None:
            return
        java = find_java()
        fetch_jars(self.lib)
        for port in (self.port, self.controller_port):
            require_free(port)
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        properties.write_text(
            Template((HERE / "server.properties").read_text()).substitute(
                host=HOST,
                port=self.port,
                controller_port=self.controller_port,
                node=self.node,
                voters=",".join(f"{number}@{HOST}:{at}" for number, at in self.voters.items()),
                replicas=min(len(self.voters), REPLICAS),
                in_sync=max(min(len(self.voters), REPLICAS) - 1, 1),
                log=self.data / "log",
            )
        )
        command = [
            java,
            *JAVA_FLAGS,
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            "-cp",
            f"{self.lib}/*",
        ]
        if not (self.data / "log" / "meta.properties").exists():
            self._format(command, properties)
        self._spawn([*command, "kafka.Kafka", str(properties)])
        if wait:
            self.wait_ready()

    def stop(self) -> None:
        """Ask the broker to end, and wait until it has; no effect when it does not run.

        Raises:
            BrokerError: it did not end in time.
        """
        # A suspended process would keep the request to end for later.
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        self._wait_gone()

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would."""
        self._signal(signal.SIGKILL)
        self._wait_gone()

    def restart(self) -> None:
        """Stop and start, on the same data and ports."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze the process (SIGSTOP): its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on."""
        self._signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Stop the broker and delete its folder.

        Raises:
            BrokerError: the folder was not made by this program, or the broker does not stop.
        """
        if not self.data.exists():
            return
        if not (self.data / "server.properties").exists():
            raise BrokerError(f"{self.data} is not the folder of a broker: nothing was deleted")
        self.stop()
        shutil.rmtree(self.data)

    def _format(self, command: list[str], properties: Path) -> None:
        shutil.rmtree(self.data / "log", ignore_errors=True)
        storage = [*command, "kafka.tools.StorageTool", "format", "--config", str(properties)]
        # With "=": an id may begin with a dash.
        done = subprocess.run(
            [*storage, f"--cluster-id={self.cluster}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerError(f"Kafka could not format {self.data}:\n{tail(done.stdout)}")

    def _spawn(self, command: list[str]) -> None:
        with (self.data / "lock").open("w") as lock, self.log.open("wb") as log:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BrokerError(f"a start is under way in {self.data}: try again") from None
            # Whoever looks before the new pid is written must not find an old one.
            (self.data / "pid").write_text("")
            # The child inherits the lock and holds it for as long as it lives.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
            (self.data / "pid").write_text(str(self._child.pid))

    def wait_ready(self) -> None:
        """Wait until the broker answers.

        Raises:
            BrokerError: it ended or stayed silent.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.port):
            if self.pid is None:
                raise BrokerError(
                    f"Kafka ended while starting (it needs Java 17 or newer); {self.log} ends:\n"
                    f"{tail(self.log.read_text(errors='replace'))}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"Kafka did not answer in {READY_SECONDS:.0f} s: see {self.log}")
            time.sleep(0.05)

    def _wait_gone(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while (pid := self.pid) is not None:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"the broker (pid {pid}) did not end in {STOP_SECONDS:.0f} s: `kill -9 {pid}`"
                )
            time.sleep(0.02)
        if self._child:
            self._child.wait()
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            # It may have ended between the look and the signal.
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def new_cluster_id() -> str:
    """Return an id as Kafka wants it: 16 bytes in the alphabet of URLs."""
    return secrets.token_urlsafe(16)


def answers(port: int) -> bool:
    """Return whether a broker on this loopback port answers Metadata and counts itself as alive.

    An open port is not enough: Kafka listens before it serves. Sends Metadata version 1, which
    is a header (api 3, version, correlation id, client id) and the number of topics (0 = none);
    the answer begins with correlation id and the number of living brokers.
    """
    request = struct.pack(">hhih5si", 3, 1, 7, 5, b"ready", 0)
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                # Size, correlation id, brokers.
                head = answer.read(struct.calcsize(">iii"))
            _, _, brokers = struct.unpack(">iii", head)
    except (OSError, struct.error):
        return False
    return bool(brokers > 0)


def find_java() -> str:
    """Return the Java to run: that of JAVA_HOME, else the one on the path."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        where = f"JAVA_HOME ({home})" if home else "the path"
        raise BrokerError(
            f"no java in {where}: install Java 17 or newer, for instance `apt install "
            "openjdk-17-jre-headless maven` or `brew install openjdk@17 maven`"
        )
    return java


def fetch_jars(lib: Path) -> None:
    """Copy the jars that ``pom.xml`` names into ``lib``, unless they are there.

    Raises:
        BrokerError: no Maven, or it failed.
    """
    lib.parent.mkdir(parents=True, exist_ok=True)
    with lib.with_name(f"{lib.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The pom beside the jars says what they are: written last, compared first.
        stamp = lib / "pom.xml"
        if stamp.exists() and stamp.read_bytes() == POM.read_bytes():
            return
        maven = shutil.which("mvn")
        if maven is None:
            raise BrokerError(
                "no mvn on the path: install Maven (`apt install maven`) for the first start"
            )
        print("Fetching the jars of Kafka with Maven (once) ...", flush=True)
        shutil.rmtree(lib, ignore_errors=True)
        to = f"-DoutputDirectory={lib}"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", to]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(POM), *copy],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerError(
                "Maven could not fetch the jars (network, or a mirror in ~/.m2/settings.xml?):\n"
                f"{tail(done.stdout)}"
            )
        shutil.copyfile(POM, stamp)


def require_free(port: int) -> None:
    """Raise BrokerError when something listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BrokerError(
                f"port {port} is taken ({error.strerror}): choose another --port"
            ) from None


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])
