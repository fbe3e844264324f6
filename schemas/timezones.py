"""Time zones from the pinned ``tzdata`` package, never from the machine.

Two machines with different system data would plan the same step for different instants, and a
replay would not agree with the run. See ``docs/decisions/0009-journeys-and-local-time.md``.
"""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


@cache
def zone_names() -> frozenset[str]:
    """Return the IANA names that the package knows: ``Asia/Shanghai``, ``UTC``, ..."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """Return the zone of this name.

    Raises:
        KeyError: the name is not one of :func:`zone_names`; nothing else is opened.
    """
    if name not in zone_names():
        raise KeyError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)
