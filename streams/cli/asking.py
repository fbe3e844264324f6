"""How questions are written on the command line, and how their answers are drawn in a terminal."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, time
from typing import Any, TypeVar

import click
import yaml
from rich.table import Table

from schemas.jsonlines import parse_time
from schemas.playbook.base import milliseconds
from schemas.timezones import load_zone, zone_names
from sinks.condition import Condition
from sinks.warehouse import Warehouse, open_warehouse
from streams.settings import Settings

BAR = 12  # characters
_CONDITION = re.compile(r"(?:(?P<name>[^={]+)=)?(?P<kinds>[a-z_,]+)(?P<where>\{.*\})?", re.DOTALL)
_Read = TypeVar("_Read")


class Written(click.ParamType):
    """An option that a function reads; its ``ValueError`` is what the user is told."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text."""
        try:
            return self._read(value) if isinstance(value, str) else value
        except (ValueError, TypeError, yaml.YAMLError) as error:
            self.fail(str(error), param, ctx)


def named_condition(text: str) -> tuple[str, Condition]:
    """Read ``[NAME=]KIND[,KIND...][{field: check, ...}]``, the checks as in a playbook.

    Raises:
        ValueError: it is not of this form, or asks for what no event has.
    """
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r}: write a kind of event and what its fields hold, such as "
            "'order_paid' or 'big order=order_paid{amount_minor: {at_least: 10000}}'"
        )
    where = yaml.safe_load(match["where"]) if match["where"] else {}
    condition = Condition.of(*match["kinds"].split(","), **where)
    return match["name"] or text.strip(), condition


def _zone(text: str) -> str:
    if text not in zone_names():
        raise ValueError(f"{text!r} is not a time zone: write one like Asia/Shanghai or UTC")
    return text


CONDITION = Written("condition", lambda text: named_condition(text)[1])
NAMED = Written("[name=]condition", named_condition)
DURATION = Written("duration", milliseconds)


def timezone_option(command: Any) -> Any:
    """Give a command the option of whose calendar to use."""
    return click.option(
        "--timezone",
        type=Written("text", _zone),
        help="Whose days and months, such as Asia/Shanghai; default: the playbook's.",
    )(command)


def instant(text: str | None, zone: str) -> int | None:
    """Return milliseconds of a day (its midnight in the zone) or of an ISO 8601 time.

    Raises:
        click.UsageError: it is neither.
    """
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            midnight = datetime.combine(datetime.fromisoformat(text), time(), load_zone(zone))
            return parse_time(midnight.isoformat())
        return parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no day or time: {error}") from error


def period(since: str | None, until: str | None, zone: str) -> tuple[int | None, int | None]:
    """Return the bounds of a period as :func:`instant` reads them.

    Raises:
        click.UsageError: one is no time, or nothing lies between them.
    """
    begin, end = instant(since, zone), instant(until, zone)
    if begin is not None and end is not None and begin >= end:
        raise click.UsageError(f"nothing is from {since} on and before {until}: put the later last")
    return begin, end


@contextmanager
def opened(settings: Settings) -> Iterator[Warehouse]:
    """Open the warehouse of the settings for one question, as the user who may only read.

    Raises:
        sinks.warehouse.WarehouseRefused: there is none: no question makes one.
    """
    url = settings.warehouse_reader or settings.warehouse
    with closing(open_warehouse(url, create=False)) as warehouse:
        yield warehouse


@contextmanager
def opened_to_write(settings: Settings) -> Iterator[Warehouse]:
    """Open the warehouse of the settings as the user who keeps its tables."""
    with closing(open_warehouse(settings.warehouse)) as warehouse:
        yield warehouse


def checked(make: Callable[[], _Read]) -> _Read:
    """Return what ``make`` gives; a question that makes no sense is the user's to mend.

    Raises:
        click.UsageError: in place of a ``ValueError``.
    """
    try:
        return make()
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def bar(part: float, whole: float) -> str:
    """Return a bar for a terminal: full where the part is the whole."""
    eighths = round(BAR * 8 * part / whole) if whole else 0
    full, rest = divmod(max(eighths, 0), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def span(milliseconds_: int | None) -> str:
    """Return a length of time as people say it: ``3.5 d``."""
    if milliseconds_ is None:
        return ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if milliseconds_ >= size:
            return f"{milliseconds_ / size:.1f} {unit}"
    return f"{milliseconds_} ms"


def table(title: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    """Return a table whose first column is text and whose numbers stand right."""
    drawn = Table(title=title, title_justify="left")
    for number, name in enumerate(names):
        drawn.add_column(name, justify="right" if number and name else "left")
    for row in rows:
        drawn.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    return drawn
