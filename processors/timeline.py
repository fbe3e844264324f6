"""The story of one person: what happened, what followed from it, and why."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from schemas.records import Fact, Touchpoint


class Chapter(NamedTuple):
    """One cause with all that followed from it.

    ``touchpoint`` is the event, if the cause was one whose record is at hand; else a timer.
    """

    at: int
    cause_kind: str
    cause_id: str
    touchpoint: Touchpoint | None
    facts: tuple[Fact, ...]


def tell(touchpoints: Iterable[tuple[Touchpoint, int]], facts: Iterable[Fact]) -> Iterator[Chapter]:
    """Yield the chapters of a person's story in the order of stream time.

    Args:
        touchpoints: The person's events, each with its stream time, in the order of the log.
        facts: The person's facts, in the order in which they were written. A fact that is there
            twice with one id, as after a crash without transactions, is told once.
    """
    events: dict[str, tuple[Touchpoint, int]] = {}
    for touchpoint, at in touchpoints:
        events.setdefault(touchpoint.event_id, (touchpoint, at))
    once = {fact.fact_id: fact for fact in facts}.values()
    chapters = []
    for (kind, cause_id), group in groupby(once, key=lambda fact: (fact.cause_kind, fact.cause_id)):
        told = tuple(group)
        event, _ = events.pop(cause_id, (None, 0)) if kind == "event" else (None, 0)
        chapters.append(Chapter(told[0].at, kind, cause_id, event, told))
    silent = (Chapter(at, "event", each.event_id, each, ()) for each, at in events.values())
    yield from sorted([*chapters, *silent], key=lambda chapter: chapter.at)


def about(facts: Iterable[Fact], sop: str) -> list[Fact]:
    """Return the facts that concern one SOP: its journeys, steps, actions and suppressions."""
    return [fact for fact in facts if fact.subject == sop or fact.subject.startswith(f"{sop}/")]
