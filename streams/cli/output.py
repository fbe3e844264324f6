"""How the commands speak: people read stderr and tables, machines read stdout and ``--json``."""

import errno
import json
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import click
from kafka.errors import KafkaError
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from schemas.playbook_errors import PlaybookError
from schemas.registry import RegistryUnavailable
from sinks.warehouse import WarehouseError
from streams.admin import TopicsError
from streams.cli.chart import ChartError
from streams.cli.children import ChildError
from streams.cli.pages import PageError
from streams.embedded import EmbeddedBrokerError
from streams.funnels import UnknownFunnel
from streams.settings import PREFIX, Settings, SettingsError
from streams.store import StoreError

EXPECTED = (
    SettingsError,
    PlaybookError,
    PageError,
    ChartError,
    ChildError,
    TopicsError,
    UnknownFunnel,
    RegistryUnavailable,
    WarehouseError,
    StoreError,
    EmbeddedBrokerError,
    KafkaError,  # kafka-python's, which names the broker and the topic
    ConnectionError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a place that takes no more."""

out = Console()
err = Console(stderr=True)

_F = TypeVar("_F", bound=Callable[..., Any])


def settings_options(*fields: str) -> Callable[[_F], _F]:
    """Give a command the flags of these settings; it takes them as ``**flags``."""

    def decorate(command: _F) -> _F:
        for name in reversed(fields):
            field = Settings.model_fields[name]
            default = f"[{PREFIX}{name.upper()}; default {field.default!r}]"
            option = click.option(
                f"--{name.replace('_', '-')}", name, help=f"{field.description} {default}"
            )
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")


def load_settings(**flags: Any) -> Settings:
    """Read the settings from the flags that were given and the environment."""
    return Settings.load(os.environ, **flags)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, sort_keys=True))


def show(drawn: Table) -> None:
    """Print a table whole: texts are broken between words where the terminal is too narrow.

    Where that does not do, it is printed without lines, and then its rows go on beyond the edge:
    no figure is ever cut.
    """
    texts = [[str(each.header), *map(str, each.cells)] for each in drawn.columns]
    least = [max(map(cell_len, _unbroken(column))) for column in drawn.columns]
    frame = 3 * len(least) + 1
    if sum(least) + frame > out.width:
        drawn.box, drawn.padding, frame = None, (0, 1, 0, 0), len(least)
    left = max(0, out.width - frame - sum(least))
    drawn.width = sum(least) + frame if not left else None
    for column, said, needed in zip(drawn.columns, texts, least, strict=True):
        more = min(left, max(map(cell_len, said)) - needed)
        column.width = needed + more
        left -= more
    out.print(drawn, width=max(out.width, drawn.width or 0), crop=False)


def _unbroken(column: Column) -> list[str]:
    """Return what must stay in one piece: words, and all that stands right, for it is a figure."""
    cells = list(map(str, column.cells))
    return [
        *str(column.header).split(),
        *(cells if column.justify == "right" else " ".join(cells).split()),
        "",
    ]


def fail(error: BaseException) -> int:
    """Print an error that the user can mend; return the exit code."""
    if isinstance(error, click.ClickException):
        said = StringIO()
        error.show(said)  # with the command's usage, where that was the mistake
        click.echo(said.getvalue().replace("Error: ", "touchline: ", 1), err=True, nl=False)
        return error.exit_code
    if isinstance(error, click.Abort):
        told = "stopped"
    else:
        told = _of_file(error) if isinstance(error, OSError) and error.filename else str(error)
        if isinstance(error, OSError) and error.errno in FULL:
            told = f"no more can be written ({error.strerror}): make room, or name another place"
    click.echo(f"touchline: {told}", err=True)
    return 1


def _of_file(error: OSError) -> str:
    """Return what is wrong with a file and what to do, without the system's numbers."""
    path = Path(os.fsdecode(error.filename))
    match error:
        case FileNotFoundError() if path.parent.is_dir():
            names = [each.name for each in path.parent.iterdir()]
            near = get_close_matches(path.name, names, n=1)
            cure = f"did you mean {path.parent / near[0]}?" if near else "correct its name"
            return f"there is no {path}: {cure}"
        case FileNotFoundError() | NotADirectoryError():
            return f"there is no {path}, for there is no folder {path.parent}: correct the path"
        case IsADirectoryError():
            return f"{path} is a folder: name a file in it"
        case PermissionError():
            return f"{path} is not open to this user: change who may use it, or name another"
    return str(error)


def progress() -> Progress:
    """Return a progress bar on stderr; it stays silent where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
