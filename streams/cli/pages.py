"""Read the pages of running workers and sinks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

TIMEOUT = 30.0


class PageError(Exception):
    """A page could not be read; ``status`` is the HTTP status, 0 if nothing answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def open_page(url: str) -> Iterator[HTTPResponse]:
    """Open a page to read it in pieces.

    Raises:
        PageError: nothing answers there, or with an error.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise PageError(f"{url}: the address of a worker or a sink starts with http://")
    try:
        with urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - the scheme is checked above
            yield response
    except HTTPError as error:
        detail = error.read().decode(errors="replace").strip()
        raise PageError(f"{url}: HTTP {error.code}: {detail}", error.code) from error
    except (URLError, ConnectionError, HTTPException, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise PageError(f"nothing answers at {url} ({reason}): is it running?") from error


def read_json(url: str) -> Any:
    """Return what a JSON page says."""
    with open_page(url) as response:
        return json.load(response)


def read_lines(url: str) -> Iterator[str]:
    """Yield the lines of a page as they come, without their ends."""
    with open_page(url) as response:
        for line in response:
            yield line.decode().rstrip("\n")
