"""What stands around the workers in the fault tests: an orchestrator, and one who waits for it."""

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from brokers import free_ports
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from the_line import PATIENCE, TheLine, account, await_that

from schemas.records import Touchpoint
from streams.cli.children import Child, ChildError
from streams.cli.pages import PageError, read_json

LIVENESS = 45.0
"""Seconds for which a worker may say that it is not well, before it is killed."""
Write = Callable[[Touchpoint], bytes]


class Program(Child):
    """A worker or a sink that a program of the tests starts: its settings, then more arguments."""

    def __init__(self, line: TheLine, program: str, *arguments: str, **changes: object) -> None:
        line.folder.mkdir(parents=True, exist_ok=True)
        port = free_ports(1)[0]
        settings = line.settings.model_copy(update={"web_port": port, **changes})
        super().__init__(program, settings, line.folder, log_name=f"{program}-{port}")
        file = Path(__file__).with_name(f"{program}.py")
        self._arguments = [sys.executable, file, settings.model_dump_json(), *arguments]

    def __enter__(self) -> Self:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self


class Orchestrator:
    """Starts again whoever has ended, and whoever says for too long that it is not well."""

    def __init__(self, workers: Iterable[Child]) -> None:
        self.restarts = 0
        self._well = {worker: time.monotonic() for worker in workers}

    def look(self) -> None:
        """Look at each worker once: at its process, and at its page as a liveness probe does."""
        for worker, since in self._well.items():
            try:
                worker.check()
                read_json(f"{worker.url}/health")
            except ChildError:
                self._start(worker)
            except PageError:
                if time.monotonic() - since > LIVENESS:
                    worker.kill()
                    self._start(worker)
            else:
                self._well[worker] = time.monotonic()

    def _start(self, worker: Child) -> None:
        worker.__enter__()
        self.restarts += 1
        self._well[worker] = time.monotonic()


def tell(workers: Iterable[Child]) -> Iterator[str]:
    """Tell what each worker says of itself, and the end of its log."""
    for worker in workers:
        for page in ("health", "status"):
            try:
                yield f"{worker.url}/{page}: {read_json(f'{worker.url}/{page}')}"
            except PageError as error:
                yield str(error)
        yield f"{worker.log}:"
        yield from worker.log.read_text(errors="replace").splitlines()[-30:]


def await_lag(
    line: TheLine, workers: Collection[Child] = (), most: int = 0, group: str = ""
) -> int:
    """Wait until the group is no more than so many records behind; return the restarts it took.

    Workers that end are started again. What counts is the group's committed offset at the broker;
    ``group`` is added to the name of the workers' group.
    """
    orchestrator, deadline = Orchestrator(workers), time.monotonic() + PATIENCE
    with group_reader(line, group) as lag:
        while (behind := lag()) > most:
            orchestrator.look()
            if time.monotonic() > deadline:
                said = f"{behind} records behind, {orchestrator.restarts} restarts"
                raise AssertionError(
                    "\n".join([said, f"committed {committed(line)}", *tell(workers)])
                )
            time.sleep(0.05)
    return orchestrator.restarts


def await_settled(workers: Collection[Child], records: int) -> None:
    """Wait until these workers are well, share all partitions and account for so many records.

    The broker has a commit a moment before its worker knows, and who gives partitions back tells
    of them until the next assignment.
    """

    def known() -> bool:
        for worker in workers:
            worker.check()
        return are_settled(workers, records)

    await_that(known, f"the workers do not account for {records} records")


def are_settled(workers: Collection[Child], records: int) -> bool:
    """Tell whether these workers are well, share all partitions and account for so many records."""
    try:
        served = [n for each in workers for n in read_json(f"{each.url}/health")["partitions"]]
        done = sum(account(workers).values())
    except (ChildError, PageError):
        return False
    return sorted(served) == [0, 1, 2, 3] and done == records


@contextmanager
def group_reader(line: TheLine, group: str = "") -> Iterator[Callable[[], int]]:
    """Give a function that returns by how many offsets the group is behind."""
    consumer = KafkaConsumer(
        bootstrap_servers=line.settings.bootstrap,
        group_id=line.settings.group + group,
        enable_auto_commit=False,
        request_timeout_ms=5_000,
        session_timeout_ms=4_000,
        heartbeat_interval_ms=1_000,
    )
    topic = line.settings.topic("touchpoints")
    places = [TopicPartition(topic, number) for number in range(4)]

    def lag() -> int:
        try:
            ends = consumer.end_offsets(places)
            return sum(ends[place] - (consumer.committed(place) or 0) for place in places)
        except KafkaError:
            return 1 << 30  # nobody can tell now

    try:
        yield lag
    finally:
        consumer.close()


def committed(line: TheLine) -> dict[int, int]:
    """Return the offset that the group has committed in each partition, 0 for none."""
    consumer = KafkaConsumer(
        bootstrap_servers=line.settings.bootstrap,
        group_id=line.settings.group,
        enable_auto_commit=False,
    )
    try:
        topic = line.settings.topic("touchpoints")
        return {n: consumer.committed(TopicPartition(topic, n)) or 0 for n in range(4)}
    finally:
        consumer.close()


def publish_at(line: TheLine, records: list[tuple[int, Touchpoint, Write]]) -> None:
    """Publish each record with a time of its own and its own writer."""
    producer = KafkaProducer(bootstrap_servers=line.settings.bootstrap, linger_ms=20)
    try:
        topic = line.settings.topic("touchpoints")
        sent = [
            producer.send(topic, write(each), each.user_id.encode(), timestamp_ms=at)
            for at, each, write in records
        ]
        for future in sent:
            future.get()
    finally:
        producer.close()


def exit_code(worker: Child, patience: float = 150.0) -> int:
    """Wait until the worker has ended by itself; return its exit code."""
    assert worker._process is not None
    return worker._process.wait(patience)
