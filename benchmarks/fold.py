"""The pure fold on one core: events a second, bytes of a profile, and where the time goes.

    python benchmarks/fold.py [--events N] [--people N] [--repeats N] [--only NAME ...]

For each shipped playbook its own mix of events, for all four business playbooks at once one stream
with the mixes of all, and the CDNOW purchases. No Kafka, no decoding, no encoding. The first half
of a stream warms the profiles; the second is measured, timers and all, in batches, several times
from the same state. Rates are by CPU time, so they stand on a machine that is shared, and garbage
is collected in a worker's rhythm.

The limit is a fold that does nothing, measured in turns with the real one: find the profile, hash
the event's id, copy the profile, keep the copy.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple, TypeVar

from folding.parts import sampled
from folding.workloads import invent
from peers.machine import describe
from rich.console import Console
from rich.table import Table

from processors.bounds import profile_bound
from processors.dedupe import remember, seen
from processors.identity import event_hash
from processors.partition import Partition
from processors.playbook import Playbook, compile_playbook
from schemas.playbook import find_playbook
from schemas.profile import Profile, copied, encode
from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.collecting import Collector

BATCH = 2_000
BUSINESSES = ("refined-retail", "exam-prep", "vocational-course", "growth-loop")
"""One playbook for each operating model."""
JOBS = ("second-purchase", "cdnow", *BUSINESSES, "all")
PROFILED = ("refined-retail", "all")
COLLECTOR = Collector()

Records = Sequence[tuple[Touchpoint, int]]
T = TypeVar("T")


class Job(NamedTuple):
    """What is measured: one stream, and the warm profiles of each playbook that folds all of it."""

    name: str
    playbooks: tuple[Playbook, ...]
    warm: tuple[dict[str, Profile], ...]
    records: Records

    def owners(self) -> list[dict[str, Profile]]:
        """Return the warm profiles to start from; profiles are values."""
        return list(map(dict, self.warm))

    def partitions(self, owners: Iterable[dict[str, Profile]]) -> list[Partition]:
        """Return a partition for each owner's profiles."""
        return list(map(Partition, self.playbooks, owners))


class Result(NamedTuple):
    """Events a second of CPU time, by repeat, with the limit's; facts and actions an event."""

    rates: list[float]
    limits: list[float]
    facts: float
    actions: float
    sizes: list[int]


def purchases() -> Records:
    """Return the CDNOW purchases, by date."""
    lines = shipped("examples/cdnow_master.txt").read_text(encoding="ascii").splitlines()[1:]
    rows = sorted((line.split() for line in lines), key=lambda row: row[1])
    records = []
    for number, (customer, date, _, dollars) in enumerate(rows):
        at = int(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
        payload = {
            "order_id": f"o{number}",
            "amount_minor": round(float(dollars) * 100),
            "currency": "USD",
            "product": "",
            "quantity": 1,
        }
        records.append((Touchpoint(f"e{number}", customer, at, "order_paid", payload), at))
    return records


def prepare(name: str, events: int, people: int) -> Job:
    """Invent the stream and warm the profiles with its first half."""
    names = {"all": BUSINESSES, "cdnow": ("second-purchase",)}.get(name, (name,))
    specs = [find_playbook(each) for each in names]
    if name == "cdnow":
        records = purchases()
    else:
        records = list(invent(name, 2 * events, people, currency=specs[0].currency))
    half = len(records) // 2
    playbooks = tuple(compile_playbook(spec) for spec in specs)
    job = Job(name, playbooks, tuple({} for _ in playbooks), records[half:])
    fold_all(job.partitions(job.warm), records[:half])
    return job


def fold_all(partitions: Sequence[Partition], records: Records) -> tuple[int, int]:
    """Fold every batch by every partition; return how many facts and actions came of it."""
    facts = actions = 0
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        for partition in partitions:
            effects = partition.apply(batch)
            facts += len(effects.facts)
            actions += len(effects.actions)
    return facts, actions


def do_nothing(owners: Sequence[dict[str, Profile]], records: Records) -> None:
    """Do what a fold cannot do without, for each owner of profiles."""
    for touchpoint, _ in records:
        for profiles in owners:
            user_id = touchpoint.user_id
            before = profiles.get(user_id) or Profile(user_id)
            mark = event_hash(touchpoint.event_id)
            if not seen(before.recent, mark):
                after = copied(before)
                after.recent = remember(before.recent, mark, 64)
                profiles[user_id] = after


def rate(run: Callable[[T, Records], object], over: T, records: Records) -> float:
    """Return events a second of this process's CPU time, its garbage collected as in a worker."""
    COLLECTOR.tick()
    started = time.process_time()
    run(over, records)
    COLLECTOR.tick()
    return len(records) / (time.process_time() - started)


def measure(job: Job, repeats: int) -> Result:
    """Measure the job and its limit in turns."""
    rates, limits, events = [], [], len(job.records)
    for _ in range(repeats):
        rates.append(rate(fold_all, job.partitions(job.owners()), job.records))
        limits.append(rate(do_nothing, job.owners(), job.records))
    told = fold_all(job.partitions(owners := job.owners()), job.records)
    sizes = sorted(len(encode(each)) for profiles in owners for each in profiles.values())
    return Result(rates, limits, told[0] / events, told[1] / events, sizes)


def profile(job: Job, repeats: int) -> Table:
    """Fold the job again, sampled; return the share of each part."""
    with sampled() as counts:
        for _ in range(repeats):
            fold_all(job.partitions(job.owners()), job.records)
    table = Table("part", "share", title=f"{job.name}: where the time goes")
    for part, samples in counts.most_common():
        table.add_row(part, f"{samples / counts.total():.1%}")
    return table


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=40_000, help="measured; as many warm up")
    parser.add_argument("--people", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=JOBS)
    given = parser.parse_args()
    COLLECTOR.begin()
    console = Console(width=130)
    console.print(f"before: {describe()}", highlight=False)
    table = Table(title=f"{given.events:,} events of {given.people:,} people")
    columns = "playbook", "best/s", "median/s", "limit/s", "of it", "facts", "actions"
    for column in (*columns, "bytes p50", "p99", "largest", "bound"):
        table.add_column(column, justify="right")
    shares = []
    for name in given.only:
        job = prepare(name, given.events, given.people)
        got = measure(job, given.repeats)
        best, limit = max(got.rates), max(got.limits)
        bounds = [profile_bound(each) for each in job.playbooks]
        table.add_row(
            name,
            *(f"{each:,.0f}" for each in (best, median(got.rates), limit)),
            f"{best / limit:.0%}",
            f"{got.facts:.2f}",
            f"{got.actions:.3f}",
            f"{median(got.sizes):,.0f}",
            *(f"{got.sizes[place]:,}" for place in (len(got.sizes) * 99 // 100, -1)),
            f"{max(bounds):,}",
        )
        if name in PROFILED:
            shares.append(profile(job, given.repeats))
    for each in (table, *shares):
        console.print(each)
    console.print(f"after: {describe()}", highlight=False)


if __name__ == "__main__":
    main()
