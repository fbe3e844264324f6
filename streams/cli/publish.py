"""``touchline publish``: touchpoints from a file of JSON lines onto the log."""

import sys
from pathlib import Path
from typing import IO, Any

import click

from schemas.jsonlines import Line, LineError, read_lines
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    print_json,
    progress,
    settings_options,
)
from streams.publisher import Publisher


@click.command()
@click.argument("file", type=click.Path(allow_dash=True, path_type=Path))
@settings_options("bootstrap", "topic_prefix", "registry", "max_record_bytes")
@click.option(
    "--replay",
    is_flag=True,
    help='Give each record the "appended_at" of its line, or else the time of its event, to play '
    "history in its own time. The topic must be made with `topics create --timestamps event`, the "
    "file be in order of time, as `export` writes it.",
)
@click.option("--skip-bad", is_flag=True, help="Report bad lines and go on, instead of stopping.")
@json_option
def publish(file: Path, replay: bool, skip_bad: bool, as_json: bool, **flags: Any) -> None:
    r"""Publish touchpoints from FILE (JSON lines, - for standard input).

    \b
    A line has the fields of the contract by their names:
      {"event_id": "e1", "user_id": "U1", "occurred_at": "2026-11-01T09:30:00+08:00",
       "kind": "order_paid",
       "payload": {"order_id": "O1", "amount_minor": 9900, "currency": "CNY"}}

    Each record is acknowledged by the broker before the command ends. Publishing a file again
    changes nothing: an event id counts once.
    """
    settings = load_settings(**flags)
    codec = settings.new_codec()
    bad = 0
    latest = 0
    with (
        click.open_file(str(file), "rb") as stream,
        Publisher(
            settings.bootstrap, settings.topic("touchpoints"), codec, event_time=replay
        ) as publisher,
        progress() as bar,
    ):
        task = bar.add_task(f"publishing {file.name}", total=_size(stream))
        lines = read_lines(stream, source=str(file), max_bytes=settings.max_record_bytes)
        for line in lines:
            problem = _problem(line, latest) if replay or isinstance(line, LineError) else ""
            if isinstance(line, LineError) or problem:
                bad += 1
                err.print(f"touchline: {problem}", style="red", highlight=False, markup=False)
                if skip_bad:
                    continue
                break
            latest = _time(line)
            publisher.publish(line.touchpoint, line.appended_at)
            bar.update(task, completed=stream.tell() if stream.seekable() else None)
    if as_json:
        print_json({"published": publisher.acknowledged, "bad": bad})
    else:
        err.print(f"{publisher.acknowledged} published, {bad} bad lines")
    if bad and not skip_bad:
        err.print("stopped at the bad line; mend it and publish the file again, or --skip-bad")
    sys.exit(1 if bad else 0)


def _problem(line: Line | LineError, latest: int) -> str:
    if isinstance(line, LineError):
        return str(line)
    if _time(line) < latest:
        return (
            f"line {line.number} goes back in time: sort the file by appended_at, or by "
            "occurred_at where it has none, or publish it without --replay"
        )
    return ""


def _time(line: Line) -> int:
    """Return the time of a line's record in a replay."""
    return line.touchpoint.occurred_at if line.appended_at is None else line.appended_at


def _size(stream: IO[bytes]) -> int | None:
    if not stream.seekable():
        return None
    return Path(stream.name).stat().st_size
