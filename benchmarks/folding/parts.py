"""Where the fold's time goes: samples of the stack, each put down to the part it was taken in.

A timer that counts the process's own CPU time interrupts every few milliseconds; unlike a tracing
profiler it does not slow down small functions more than large ones.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

INTERVAL = 0.001
"""Seconds between two samples; kernels round it up to their own tick."""
_FACTS = "state facts: ids and values"
_ROOTS: Mapping[str, str] = {
    "fold.fold": "the fold's own lines",
    "fold.fire": "the fold's own lines",
    "partition.apply": "partition: look up, count, keep",
    "partition.advance": "partition: look up, count, keep",
}
_PARTS: Mapping[str, str] = {
    "draft.fact": _FACTS,
    "draft.__init__": "draft: copy the profile",
    "identity.event_hash": "dedupe",
    "dedupe.seen": "dedupe",
    "dedupe.remember": "dedupe",
    "orders.pay": "write: orders, marks",
    "orders.refund": "write: orders, marks",
    "touches.set_consent": "write: orders, marks",
    "touches.set_attribute": "write: orders, marks",
    "touches.set_friend": "write: orders, marks",
    "stages.touch": "touch",
    "windows.record": "windows",
    "stages.restage": "restage",
    "rfm.rescore": "rescore",
    "settle.settle": "settle: points, tiers, tags, machines",
    "walks.walk_on": "funnels",
    "counting.count": "live aggregates",
    "aggregates.add": "live aggregates",
    "journeys.follow": "follow: exits, waits, entries, edges",
    "journeys.take_step": "take steps: guards, caps, actions",
    "partition._schedule": "timers: what is due next",
    "timers.next_due": "timers: what is due next",
    "timers.first_timer": "timers: what is due next",
    "timers.may_be_sooner": "timers: what is due next",
    "logic.turns": "timers: what is due next",
    "due_index.pop": "timers: what is due next",
    "due_index.may_be_due": "timers: what is due next",
}


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count samples by part while the block runs, in the main thread."""
    counts: Counter[str] = Counter()

    def sample(_signal: int, frame: FrameType | None) -> None:
        part = _part_of(frame)
        if part:
            counts[part] += 1

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield counts
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _part_of(frame: FrameType | None) -> str:
    """Return the outermost part on the stack below the fold, but facts always as such."""
    part = ""
    while frame is not None:
        name = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
        if name in _ROOTS:
            return part or _ROOTS[name]
        part = _PARTS.get(name, part)
        if part == _FACTS:
            return part
        frame = frame.f_back
    return ""
