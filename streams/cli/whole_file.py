"""Write a file that is there only when it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; ``-`` is standard output, as is what is no file: a pipe, a device.

    A file is written beside its place, as ``<name>.<process>.part``, and takes its name when the
    block ends without an error. Until then, and after an error, a file of this name stays as it is.
    """
    if str(path) == "-":
        yield click.get_binary_stream("stdout")
        return
    place = path.resolve()  # the target of a link is replaced, not the link
    if place.exists() and not place.is_file():
        with place.open("wb") as stream:
            yield stream
        return
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with _opened(part, path) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _opened(part: Path, path: Path) -> BinaryIO:
    """Open the part of a file; an error names the file, which is what the user has written."""
    try:
        return part.open("wb")
    except OSError as error:
        error.filename = str(path)
        raise
