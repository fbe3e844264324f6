"""``touchline demo``: the whole line on real purchases, with embedded parts."""

import asyncio
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from socket import socket
from typing import Any

import click

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.broken import broken_records
from streams.cdnow import read_purchases, to_touchpoints
from streams.cli.children import Child, ChildError
from streams.cli.demo_report import Timing, collect, print_report
from streams.cli.lifeline import Lifeline
from streams.cli.output import err, json_option, print_json, progress
from streams.cli.pages import PageError, read_json
from streams.embedded import EmbeddedBroker
from streams.publisher import Publisher
from streams.settings import Settings

CATCH_UP_SECONDS = 150.0


@click.command()
@click.option("--bootstrap", help="A Kafka to use instead of the embedded broker.")
@click.option("--topic-prefix", default="", help="Put before the names of its topics.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".touchline/demo"),
    show_default=True,
    help="Folder for the warehouse and the logs; what an earlier demo left there is deleted.",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day on which the last purchase falls.  [default: today, UTC]",
)
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@json_option
def demo(
    bootstrap: str | None,
    topic_prefix: str,
    data: Path,
    today: datetime | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run the whole line on 69,659 real purchases and show what came of them.

    Starts a broker, a worker and a sink on this machine's loopback, publishes the CDNOW purchases
    as Avro touchpoints in their own time (the last one today), adds six broken records, and
    prints the account of every record, the segments, the actions requested and a funnel.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):  # unwind, so that no process of ours stays
        signal.signal(ending, signal.default_int_handler)
    folder = _fresh(data)
    try:
        _run(bootstrap, topic_prefix, folder, today, keep=keep, as_json=as_json)
    except KeyboardInterrupt:
        _tell_stopped(folder)
        sys.exit(128 + signal.SIGINT)
    if keep:
        _tell_stopped(folder)
    elif not as_json:
        err.print(
            "Everything is stopped. `touchline demo --keep` leaves it running to look around."
        )


def _tell_stopped(folder: Path) -> None:
    err.print(
        f"Everything is stopped. The logs and the warehouse stay in {folder}, until the next "
        "demonstration there deletes them.",
        highlight=False,
    )


def _run(
    bootstrap: str | None,
    topic_prefix: str,
    folder: Path,
    today: datetime | None,
    *,
    keep: bool,
    as_json: bool,
) -> None:
    """Start everything, publish, tell what came of it, and stop everything."""
    day = today.date() if today else datetime.now(UTC).date()
    with ExitStack() as stack:
        lifeline = stack.enter_context(Lifeline())
        broker = EmbeddedBroker(log=folder / "broker.log", hold=lifeline.hold)
        settings = Settings(
            bootstrap=bootstrap or stack.enter_context(broker).bootstrap,
            broker="kafka" if bootstrap else "plain",
            topic_prefix=topic_prefix,
            group=f"{topic_prefix}touchline-demo",
            warehouse=f"chdb://{folder.resolve() / 'warehouse'}",
            session_timeout=10.0 if bootstrap else 2.0,  # the embedded broker's joins wait for half
            web_port=_free_port(),
        )
        sink_settings = settings.model_copy(update={"web_port": _free_port()})
        err.print(f"[bold]touchline demo[/] · broker {settings.bootstrap} · logs in {folder}")
        create_topics(
            settings.bootstrap, load_topics().values(), timestamps="event", prefix=topic_prefix
        )
        worker = stack.enter_context(Child("worker", settings, folder))
        lifeline.hold(worker.pid)
        sink = stack.enter_context(Child("sink", sink_settings, folder))
        lifeline.hold(sink.pid)
        with err.status("starting a worker and a sink"):
            worker.wait_ready()
            sink.wait_ready()
        timing = _publish(settings, worker, day)
        with err.status("the sink brings the log into ClickHouse"):
            await_sink(worker, sink)
        figures = collect(worker.url, sink.url, timing) | {"proof": _prove(settings)}
        if as_json:
            print_json(figures)
        else:
            print_report(figures)
        if keep:
            _stay(settings, worker, sink)


def _publish(settings: Settings, worker: Child, day: date) -> Timing:
    """Publish the purchases and the broken records; wait until all are accounted for."""
    purchases = read_purchases()
    published = len(purchases) + len(broken_records())
    started = time.monotonic()
    with (
        progress() as bar,
        Publisher(
            settings.bootstrap, settings.topic("touchpoints"), settings.new_codec(), event_time=True
        ) as publisher,
    ):
        task = bar.add_task("publishing", total=published)
        for touchpoint in to_touchpoints(purchases, day):
            publisher.publish(touchpoint)
            bar.advance(task)
        for broken in broken_records():
            publisher.publish_raw(broken.key, broken.value)
            bar.advance(task)
        publisher.flush()
        acknowledged = time.monotonic() - started
        task = bar.add_task("folding", total=published)
        deadline = started + CATCH_UP_SECONDS
        while (done := _accounted(worker)) < published and time.monotonic() < deadline:
            worker.check()
            bar.update(task, completed=done)
            time.sleep(0.05)
    return Timing(published, acknowledged, time.monotonic() - started)


def _prove(settings: Settings) -> dict[str, Any]:
    """Fold the log again, and hold what the line did against it."""
    from streams.prove import prove  # noqa: PLC0415 - so that --help answers at once

    playbook = compile_playbook(find_playbook(settings.playbook))
    with progress() as bar:
        task = bar.add_task("proving", total=None)
        proof = asyncio.run(prove(settings, [playbook], lambda more: bar.advance(task, more)))
    return proof.total()._asdict() | {"findings": [each.what for each in proof.findings]}


def _accounted(worker: Child) -> int:
    accounts = read_json(f"{worker.url}/status")["partitions"].values()
    return sum(a["applied"] + a["duplicate"] + a["late"] + a["dead"] for a in accounts)


def await_sink(worker: Child, sink: Child) -> None:
    """Wait until the rows of the warehouse are as many as the worker's account asks for.

    How many rows its upserts are nobody counts: of these the sink has to have read all.
    """
    status: dict[str, Any] = read_json(f"{worker.url}/status")
    wanted = {
        "touchpoints": sum(
            a["applied"] + a["duplicate"] + a["late"] for a in status["partitions"].values()
        ),
        "facts": status["facts"],
        "actions": status["actions"],
        "dead_letters": sum(a["dead"] for a in status["partitions"].values()),
    }
    deadline, rows = time.monotonic() + CATCH_UP_SECONDS, dict.fromkeys(wanted, 0)
    while time.monotonic() < deadline:
        worker.check()
        sink.check()
        with suppress(PageError):  # it is not up yet, or is joining again
            rows = read_json(f"{sink.url}/tables")
            if all(rows[table] >= count for table, count in wanted.items()) and not any(
                read_json(f"{sink.url}/lag").values()
            ):
                return
        time.sleep(0.2)
    raise ChildError(
        f"ClickHouse lacks rows after {CATCH_UP_SECONDS:.0f} s: {wanted} were to be there, and "
        f"{ {table: rows[table] for table in wanted} } are; the sink's log is {sink.log}"
    )


def _stay(settings: Settings, worker: Child, sink: Child) -> None:
    err.print(
        f"\nStill running; Ctrl-C stops it.\n"
        f"  Kafka    {settings.bootstrap}\n"
        f"  worker   {worker.url}/status  /metrics  /profiles\n"
        f"  sink     {sink.url}/tables  /metrics  /funnel/repeat-purchase\n"
        f"  try      touchline profiles 00004 --url {worker.url}\n"
        f"           touchline funnel repeat-purchase --url {sink.url}\n"
        f"           touchline prove --broker {settings.broker} --bootstrap {settings.bootstrap}"
        + (f" --topic-prefix {settings.topic_prefix}" if settings.topic_prefix else ""),
        highlight=False,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print("stopping")


def _fresh(folder: Path) -> Path:
    mark = folder / ".touchline-demo"
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        raise click.ClickException(f"{folder} holds other files: name another folder with --data")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
    return folder


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
