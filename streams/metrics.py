"""Every metric that a worker or a sink gives to Prometheus, typed and explained in one place.

Names follow ``touchline_<what>_<unit>``; counters end in ``_total``. What the profiles already
know (the account of each partition) is read from them at each scrape, not counted twice. Start,
memory and CPU of the process come with Prometheus' own names, ``process_<what>_<unit>``.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processors.partition import Effects
from schemas.records import DeadLetter
from streams.table import Shard

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECORDS = (1, 10, 50, 100, 500, 1000, 2000, 4000, 10_000)


class _Shards(Protocol):
    shards: dict[int, Shard]


class ShardCollector(Collector):
    """Reads the accounts out of the shards when Prometheus asks."""

    def __init__(self, owner: _Shards) -> None:
        self._owner = owner

    def collect(self) -> Iterable[Metric]:
        """Yield one gauge family for each figure, labelled by partition."""
        records = GaugeMetricFamily(
            "touchline_records",
            "Records of touchpoints by what became of them; survives restarts.",
            labels=["partition", "outcome"],
        )
        figures = {
            "touchline_profiles": "People with a profile.",
            "touchline_applied_offset": "The last offset applied.",
            "touchline_stream_clock_seconds": "Stream clock, in seconds since 1970.",
            "touchline_timers_pending": "People who wait for a timer.",
            "touchline_unaccounted_records": "Offsets up to the last applied that are neither "
            "applied, duplicate, late, dead nor without a record: 0, or a defect.",
        }
        gauges = {
            n: GaugeMetricFamily(n, text, labels=["partition"]) for n, text in figures.items()
        }
        for number, shard in sorted(self._owner.shards.items()):
            label, counts = str(number), shard.account
            records.add_metric([label, "applied"], counts.applied)
            records.add_metric([label, "duplicate"], counts.duplicates)
            records.add_metric([label, "late"], counts.late)
            records.add_metric([label, "dead"], shard.ledger.dead)
            for name, value in zip(
                figures,
                (
                    shard.account.people,
                    shard.ledger.offset,
                    shard.ledger.clock / 1000,
                    shard.partition.pending(),
                    # What a crash left ahead of the ledger is counted before its offset comes.
                    0 if shard.ahead else shard.ledger.unaccounted,
                ),
                strict=True,
            ):
                gauges[name].add_metric([label], value)
        return [records, *gauges.values()]


class WorkerMetrics:
    """What a worker counts while it runs."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.last_progress = time.monotonic()
        self.actions_sent = 0
        self.facts_sent = 0
        self.busy_seconds = 0.0
        self._busy_since = 0.0
        self._in_hand = 0
        self.actions = Counter(
            "touchline_actions", "Actions requested.", ["family"], registry=registry
        )
        self.facts = Counter("touchline_facts", "Facts written.", ["kind"], registry=registry)
        self.dead = Counter(
            "touchline_dead_letters", "Records set aside.", ["reason"], registry=registry
        )
        self.batch_seconds = Histogram(
            "touchline_batch_seconds",
            "From a batch to its commit.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_records = Histogram(
            "touchline_batch_records", "Records in a batch.", buckets=RECORDS, registry=registry
        )
        self.lag = Gauge(
            "touchline_lag_records",
            "Records not yet applied, as the group's offset at the broker says.",
            ["partition"],
            registry=registry,
        )
        self.recovery = Gauge(
            "touchline_recovery_seconds", "How long the last recovery took.", registry=registry
        )
        self.recovery_records = Gauge(
            "touchline_recovery_records",
            "Records of the changelog that the last recovery read; 0: the profiles were here.",
            ["partition"],
            registry=registry,
        )
        self.standby_age = Gauge(
            "touchline_standby_age_seconds",
            "How long ago the copy of another worker's partition was level with its changelog.",
            ["partition"],
            registry=registry,
        )
        self.standby_offset = Gauge(
            "touchline_standby_offset",
            "Offset in the changelog to which a copy goes.",
            ["partition"],
            registry=registry,
        )
        self.standby_failures = Counter(
            "touchline_standby_failures", "Copies that had to be tried again.", registry=registry
        )

    @contextmanager
    def batch(self, records: int) -> Iterator[Callable[[], None]]:
        """Time one batch; give what is to be called when it is committed, for then it counts."""
        started = time.monotonic()
        if not self._in_hand:
            self._busy_since = started
        self._in_hand += 1

        def committed() -> None:
            self.batch_seconds.observe(time.monotonic() - started)
            self.batch_records.observe(records)

        try:
            yield committed
        finally:
            self._in_hand -= 1
            if not self._in_hand:  # those of several partitions overlap: each second counts once
                self.busy_seconds += time.monotonic() - self._busy_since

    def recovered(self, seconds: float, shards: Mapping[int, Shard]) -> None:
        """Tell what the last recovery took."""
        self.recovery.set(seconds)
        self.recovery_records.clear()
        for partition, shard in shards.items():
            self.recovery_records.labels(partition).set(shard.replayed)

    @contextmanager
    def standby(self, partition: int) -> Iterator[Callable[[int], None]]:
        """Tell of a copy; give what is to be called with its offset whenever it is level."""
        last = time.monotonic()

        def level(offset: int) -> None:
            nonlocal last
            last = time.monotonic()
            self.standby_offset.labels(partition).set(offset)

        self.standby_age.labels(partition).set_function(lambda: time.monotonic() - last)
        try:
            yield level
        finally:
            self.standby_age.remove(partition)
            self.standby_offset.remove(partition)

    def applied(self, effects: Effects, dead: list[DeadLetter]) -> None:
        """Count what a durable batch has caused."""
        self.last_progress = time.monotonic()
        self.actions_sent += len(effects.actions)
        self.facts_sent += len(effects.facts)
        _add(self.actions, (action.family for action in effects.actions))
        _add(self.facts, (fact.kind for fact in effects.facts))
        _add(self.dead, (letter.reason for letter in dead))


def _add(counter: Counter, labels: Iterable[str]) -> None:
    """Count once for each label, not for each record: finding a labelled counter is slow."""
    for label, count in Tally(labels).items():
        counter.labels(label).inc(count)


class SinkMetrics:
    """What a sink counts while it runs."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.rows = Counter("touchline_sink_rows", "Rows durable.", ["table"], registry=registry)
        self.lag = Gauge(
            "touchline_sink_lag_records",
            "Records not yet durable in ClickHouse.",
            ["topic", "partition"],
            registry=registry,
        )
        self.missing = Gauge(
            "touchline_sink_missing_rows",
            "Rows given to ClickHouse that are not there: 0, or an alert.",
            ["topic", "partition"],
            registry=registry,
        )
        self.extra = Gauge(
            "touchline_sink_extra_rows",
            "Rows of one place twice, or of a place without a record: 0, or an alert.",
            ["topic", "partition"],
            registry=registry,
        )
        self.retries = Counter(
            "touchline_sink_retries", "Inserts tried again.", ["table"], registry=registry
        )
        self.seconds = Histogram(
            "touchline_sink_insert_seconds",
            "One insert.",
            ["table"],
            buckets=SECONDS,
            registry=registry,
        )
