"""Measure the fold: events a second through one partition, and bytes of a profile.

Run ``python benchmarks/fold.py [EVENTS] [PEOPLE]``. Two inputs: invented orders, spread over
PEOPLE, and the CDNOW purchases by date. One core, no Kafka, no decoding.
"""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from statistics import median

from processors.partition import Partition
from processors.playbook import Playbook, compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import encode
from schemas.records import Touchpoint
from schemas.shipped import shipped

HOUR = 3_600_000
BATCH = 2_000

Record = tuple[Touchpoint, int]


def order(number: int, user_id: str, at: int, amount: int) -> Record:
    """Return the payment of an order, appended as it occurs."""
    payload = {
        "order_id": f"o{number}",
        "amount_minor": amount,
        "currency": "USD",
        "product": "",
        "quantity": 1,
    }
    return Touchpoint(f"e{number}", user_id, at, "order_paid", payload), at


def invented(events: int, people: int) -> Iterator[Record]:
    """Yield orders of random people, one a minute."""
    random = Random(1)  # noqa: S311 - load, not a secret
    for number in range(events):
        user_id = f"u{random.randrange(people)}"
        yield order(number, user_id, number * 60_000, random.randrange(100, 20_000))


def purchases() -> Iterator[Record]:
    """Yield the CDNOW purchases, by date."""
    lines = shipped("examples/cdnow_master.txt").read_text(encoding="ascii").splitlines()[1:]
    rows = sorted((line.split() for line in lines), key=lambda row: row[1])
    for number, (customer, date, _, dollars) in enumerate(rows):
        at = int(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
        yield order(number, customer, at, round(float(dollars) * 100))


def measure(name: str, records: list[Record], playbook: Playbook) -> None:
    """Apply the records in batches and print what it took."""
    partition = Partition(playbook, {})
    facts = actions = 0
    started = time.perf_counter()
    for first in range(0, len(records), BATCH):
        effects = partition.apply(records[first : first + BATCH])
        facts += len(effects.facts)
        actions += len(effects.actions)
    seconds = time.perf_counter() - started
    sizes = sorted(len(encode(profile)) for profile in partition.profiles.values())
    print(
        f"{name}: {len(records) / seconds:,.0f} events/s, {facts:,} facts, {actions:,} actions; "
        f"{len(sizes):,} profiles of {median(sizes):,.0f} bytes (median), {sizes[-1]:,} (largest)"
    )


def main() -> None:
    """Measure both inputs."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    people = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000  # noqa: PLR2004 - argument two
    playbook = compile_playbook(find_playbook("second-purchase"))
    measure("invented orders", list(invented(events, people)), playbook)
    measure("CDNOW purchases", list(purchases()), playbook)


if __name__ == "__main__":
    main()
