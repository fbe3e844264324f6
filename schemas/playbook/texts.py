"""Texts with places to fill from the profile: ``Hello {attribute.name|friend}``.

A place is a source, a name where the source has several, and a default after ``|``. ``{{`` and
``}}`` stand for the braces themselves. There are no expressions: nothing in a text is executed.
"""

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from schemas.rules import or_rather

NAMED_SOURCES = ("attribute", "stage", "tag")
BARE_SOURCES = ("frequency", "friend", "monetary_minor", "segment", "user_id")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LONGEST = 1_000


class Placed(NamedTuple):
    """A place in a text: where its value comes from, and what stands there without one."""

    source: str
    name: str
    default: str


def parse_text(text: str) -> tuple[str | Placed, ...]:
    """Return the literal parts and the places of a text, in order.

    Raises:
        ValueError: a brace stands alone, or a place has no known source; the message has the cure.
    """
    parts: list[str | Placed] = []
    start = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[start : match.start()])
        start = match.end()
        if match[0] in {"{", "}"}:
            raise ValueError(f"{text!r} has a {match[0]} alone: write {match[0] * 2} for a brace")
        parts.append(match[0][0] if match[1] is None else _placed(match[1]))
    parts.append(text[start:])
    return tuple(part for part in parts if part != "")


def _placed(inner: str) -> Placed:
    path, _, default = inner.partition("|")
    source, _, name = path.partition(".")
    if source in BARE_SOURCES and not name:
        return Placed(source, "", default)
    if source not in NAMED_SOURCES:
        known = dict.fromkeys((*NAMED_SOURCES, *BARE_SOURCES))
        raise ValueError(f"{{{inner}}} has no known source{or_rather(source, known)}")
    if not name:
        raise ValueError(f"{{{inner}}} needs a name: write {{{source}.something}}")
    return Placed(source, name, default)


def _fillable(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"has {len(text)} characters; at most {_LONGEST} are allowed")
    parse_text(text)
    return text


Text = Annotated[str, AfterValidator(_fillable)]
"""A text that :func:`parse_text` understands."""
