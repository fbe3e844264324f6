"""Fold a seeded log of each shipped playbook, and print all that comes of it (test_compiled.py).

Stderr names the file that the fold was imported from.
"""

import sys
from collections.abc import Iterator
from random import Random

import msgspec
from folding.workloads import invent
from msgspec.structs import replace

from processors import fold
from processors.partition import Effects, Partition
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import decode, dump, encode
from schemas.records import Touchpoint

PLAYBOOKS = ("second-purchase", "refined-retail", "exam-prep", "vocational-course", "growth-loop")
EVENTS, PEOPLE = 3_000, 60
HOUR, DAY = 3_600_000, 86_400_000


def disordered(name: str, currency: str) -> Iterator[tuple[Touchpoint, int]]:
    """Yield the playbook's own mix of events: late, repeated, backfilled, of a foreign currency."""
    random = Random(name)  # noqa: S311 - seeded, not secret
    known: list[Touchpoint] = []
    for touchpoint, at in invent(name, EVENTS, PEOPLE, currency=currency):
        behind = random.choice((0, 0, 0, random.randrange(2 * DAY), random.randrange(20 * DAY)))
        told = replace(
            touchpoint,
            occurred_at=at - behind + (2 * DAY if random.random() < 0.01 else 0),
            backfill=random.random() < 0.05,
            campaign=random.choice(("", "spring", "summer")),
        )
        if "currency" in told.payload and random.random() < 0.02:
            told = replace(told, payload={**told.payload, "currency": "XXX"})
        known.append(told)
        yield random.choice(known[-9:]) if random.random() < 0.05 else told, at


def told(effects: Effects) -> Iterator[bytes]:
    """Yield every record of a batch, in order."""
    records = [*effects.facts, *effects.actions, *effects.changed.values(), *effects.rejected]
    for record in [*records, *effects.aggregates.values(), *effects.progress.values()]:
        yield msgspec.json.encode(record)


def folded(name: str) -> Iterator[bytes]:
    """Yield all that comes of the log of a playbook: batch by batch, restored and moved on."""
    random = Random(name)  # noqa: S311 - seeded, not secret
    spec = find_playbook(name)
    playbook = compile_playbook(spec)
    partition = Partition(playbook, {})
    log = list(disordered(name, spec.currency))
    while log:
        size = random.choice((1, 7, 50, 500))
        yield from told(partition.apply(log[:size]))
        yield from told(partition.advance(partition.clock + random.randrange(HOUR)))
        del log[:size]
        if random.random() < 0.05:
            clock = partition.clock
            kept = {user: decode(encode(each)) for user, each in partition.profiles.items()}
            partition = Partition(playbook, kept)
            partition.clock = clock
    yield from told(partition.advance(partition.clock + 400 * DAY))
    yield from (line.encode() for line in dump(partition.profiles))


if __name__ == "__main__":
    sys.stderr.write(f"{fold.__file__}\n")
    for each in PLAYBOOKS:
        for line in folded(each):
            sys.stdout.buffer.write(line + b"\n")
