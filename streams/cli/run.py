"""``touchline worker`` and ``touchline sink``: the two long-running processes."""

import errno
import logging
import os
import socket
import sys
import threading
from typing import Any

import click
import faust

from schemas.registry import Registry
from schemas.topics import load_topics
from streams.admin import require_topics
from streams.cli.output import err, load_settings, settings_options
from streams.faust_app import App
from streams.settings import Settings, SettingsError

_COMMON = (
    "bootstrap", "broker", "group", "topic_prefix", "registry", "web_host", "web_port",
    "instance", "session_timeout", "rebalance_timeout", "max_record_bytes", "log_level",
)  # fmt: skip


STOP_SECONDS = 20.0
"""From SIGTERM on. An orchestrator's SIGKILL mostly comes after 30, and says nothing."""


@click.command()
@settings_options("playbook", "batch_records", "clock_margin", "dead_letter_ceiling", *_COMMON)
def worker(**flags: Any) -> None:
    """Fold touchpoints into profiles and request the actions of the playbook.

    Start as many as there are partitions, with the same --group: they share the work. SIGTERM
    finishes and commits the batch in flight. A failure ends the process with exit code 1 and
    loses nothing: start it again.
    """
    from streams.app import build_app  # noqa: PLC0415 - so that --help answers at once

    settings = load_settings(**flags)
    _require_port(settings)
    app = build_app(settings)  # first what is local: a playbook's mistake needs no Kafka
    _require_others(settings)
    _run(app, settings.log_level, f"worker of {settings.bootstrap}")


@click.command()
@settings_options("warehouse", *_COMMON)
def sink(**flags: Any) -> None:
    """Bring the log into ClickHouse: touches, facts, actions, dead letters, live figures, funnels.

    Creates and migrates the tables at start. While ClickHouse is away it waits and tries again;
    the workers do not notice. A row is durable before its offset is committed, and a row that
    is inserted twice counts once.
    """
    from streams.sink import build_sink  # noqa: PLC0415 - as above

    settings = load_settings(**flags)
    _require_port(settings)
    app = build_sink(settings)
    _require_others(settings)
    _run(app, settings.log_level, f"sink of {settings.bootstrap}")


def _require_port(settings: Settings) -> None:
    """Make sure that the pages can be served where they are asked for.

    Raises:
        SettingsError: they cannot; the message says why and what to do.
    """
    host, port = settings.web_host, settings.web_port
    if not port:
        return
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As asyncio does it: what a stopped worker left in TIME_WAIT does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
            probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"port {port} of {host} is taken: --web-port another, or 0 for no pages"
            if error.errno == errno.EADDRINUSE
            else f"no pages can be served at {host}:{port} ({error.strerror}): --web-host an "
            "address of this machine and --web-port another, or 0 for no pages"
        ) from error


def _require_others(settings: Settings) -> None:
    """Make sure that what has to run elsewhere does, and has what is needed."""
    if settings.registry:
        Registry(settings.registry).require()
    require_topics(settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix)


class Worker(faust.Worker):  # type: ignore[misc]
    """Faust's worker, which ends in time even if nobody answers it any more."""

    async def stop(self) -> None:
        """Stop in order, if that can be done in time."""
        timer = threading.Timer(STOP_SECONDS, _give_up, [self.app])
        timer.daemon = True
        timer.start()
        await super().stop()


def _give_up(app: App) -> None:
    """End this process as a power failure would: whatever is not durable is done again."""
    _tell(
        "stopped in the middle: not all was acknowledged in "
        f"{STOP_SECONDS:.0f} s. Nothing is lost: the next start goes on from what was committed"
    )
    _tell_fatal(app)
    os._exit(1)


def _run(app: App, log_level: str, what: str) -> None:
    announce(app, what)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    worker = Worker(app, loglevel=log_level, redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        _tell_fatal(app)
        sys.exit(1 if app.fatal is not None else end.code)


def _tell_fatal(app: App) -> None:
    if app.fatal is not None:
        _tell(f"stopped: {type(app.fatal).__name__}: {app.fatal}")


def _tell(what: str) -> None:
    """Say what ended this process, in one line however wide the terminal is."""
    err.print(f"touchline: {what}", style="red", soft_wrap=True, highlight=False, markup=False)


def announce(app: App, what: str) -> None:
    """Say what runs now, and where its pages are."""
    url = f"http://{app.conf.web_host}:{app.conf.web_port}"
    pages = f"pages: {url}/health /metrics" if app.conf.web_enabled else "no pages"
    err.print(f"touchline {what}; {pages}; stop with Ctrl-C", highlight=False, soft_wrap=True)
