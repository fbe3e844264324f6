"""The sink: every topic of the log into its ClickHouse table, each record one row.

A row of what was sent once is known by its place in the log, an upsert by its own key and version.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from faust.types import TP

from schemas.codec import Codec
from schemas.topics import load_topics
from schemas.wire import DecodeError
from sinks.migrations import kept_since, migrate
from sinks.tables import (
    ACTIONS,
    AGGREGATES,
    DEAD_LETTERS,
    FACTS,
    FUNNEL_PROGRESS,
    TABLES,
    TOUCHPOINTS,
    Place,
    Table,
)
from sinks.warehouse import Warehouse, open_warehouse
from streams.decode import decode_record
from streams.faust_app import App, Hooks, consume, new_app
from streams.faust_transport import BatchSchema
from streams.liveness import Liveness
from streams.metrics import SinkMetrics
from streams.settings import Settings
from streams.sink_buffer import SinkBuffer
from streams.sink_pages import add_sink_pages

FETCH_RECORDS = 50_000
LINGER_SECONDS = 1.0
WATCH_SECONDS = 5.0
CHECK_SECONDS = 60.0

Decode = Callable[[Any], Any]


def build_sink(settings: Settings, warehouse: Warehouse | None = None) -> App:
    """Build the sink's app: a consumer group of its own, so that the worker never waits for it.

    Raises:
        ValueError: the warehouse's URL is wrong.
        sinks.warehouse.WarehouseRefused: the embedded warehouse cannot be opened.
    """
    warehouse = warehouse or open_warehouse(settings.warehouse)
    asked = _asked(settings, warehouse)
    codec = settings.new_codec()
    metrics, liveness = SinkMetrics(), Liveness()

    async def commit(offsets: dict[TP, int]) -> bool:
        return bool(await app.consumer.commit_batch(offsets))

    buffers = {table.name: SinkBuffer(table, warehouse, commit, metrics) for table in TABLES}

    async def start() -> None:
        await asyncio.to_thread(migrate, warehouse, settings.deployment())
        now = int(time.time() * 1000)
        for name, since in (await asyncio.to_thread(kept_since, warehouse, now)).items():
            buffers[name].check.kept_since = since

    async def restore(_assignment: set[TP]) -> dict[TP, int]:
        return {}  # the committed offsets are all there is: rows are durable before them

    async def give_back() -> None:
        await asyncio.gather(*(buffer.discard() for buffer in buffers.values()))

    async def stop() -> None:
        for each in (warehouse, asked):
            await asyncio.to_thread(each.close)

    app = new_app(
        settings.model_copy(update={"batch_records": FETCH_RECORDS}),
        f"{settings.group}-sink",
        Hooks(restore, give_back, stop, start),
    )
    by_topic: dict[str, SinkBuffer] = {}
    for topic, table, decode in routes(codec):
        name, buffer = settings.topic(topic), buffers[table.name]
        by_topic[name] = buffer
        source = app.topic(name, schema=BatchSchema(), acks=False)
        fill = partial(_fill, buffer, table, decode)
        app.agent(source, name=f"sink-{topic}")(partial(_agent, app, fill))
    app.timer(interval=LINGER_SECONDS)(partial(_linger, app, buffers.values()))
    app.timer(interval=LINGER_SECONDS)(partial(_tell_lag, app, buffers.values(), metrics))
    app.timer(interval=WATCH_SECONDS)(partial(_watch, app, by_topic, liveness))
    app.timer(interval=CHECK_SECONDS)(partial(_look, app, buffers.values()))
    lag = partial(_lag, app, buffers.values())
    add_sink_pages(app, settings, asked, buffers, metrics, lag, liveness)
    return app


def _asked(settings: Settings, warehouse: Warehouse) -> Warehouse:
    """Return the warehouse for the questions of pages: as the user who may only read.

    Its connection is its own, so that no insert waits for an answer. An embedded warehouse opens
    once in a process.
    """
    url = settings.warehouse_reader or settings.warehouse
    return warehouse if url.startswith("chdb:") else open_warehouse(url)


async def _linger(app: App, buffers: Collection[SinkBuffer]) -> None:
    """Insert what has waited long enough; while ClickHouse is away this takes until it is back."""
    try:
        for buffer in buffers:
            await buffer.flush()
    except Exception as error:  # noqa: BLE001 - refused: stop loudly, nothing is committed
        await app.die(error)


async def _tell_lag(app: App, buffers: Collection[SinkBuffer], metrics: SinkMetrics) -> None:
    """Report what still waits, most of all while ClickHouse is away."""
    try:
        lag = await _lag(app, buffers)
    except Exception as error:  # noqa: BLE001 - a lag that is told no more would look like a good one
        await app.die(error)
        return
    metrics.lag.clear()  # of partitions that others have now
    for tp, behind in lag.items():
        metrics.lag.labels(tp.topic, tp.partition).set(behind)


async def _lag(app: App, buffers: Collection[SinkBuffer]) -> dict[TP, int]:
    """Return how many records of each partition are not durable in ClickHouse yet."""
    lag = {}
    for tp, reach in (await app.consumer.reach(app.consumer.assignment())).items():
        durable = max(buffer.durable.get(tp, 0) for buffer in buffers)
        # Nothing of it was flushed since the start: what was read is on its way, at least one.
        lag[tp] = reach.behind(durable or max(reach.read, 0))
    return lag


async def _watch(app: App, buffers: Mapping[str, SinkBuffer], liveness: Liveness) -> None:
    """See whether the group moves; while ClickHouse takes no rows, those in hand need not.

    Args:
        app: The sink.
        buffers: The buffer of each topic, by its full name.
        liveness: What remembers.
    """
    try:
        if app.tables.recovery.completed.is_set():
            reach = await app.consumer.reach(app.consumer.assignment())
            committed = await app.consumer.committed(set(reach))
            away = any(buffer.refused for buffer in buffers.values())
            held = [topic for topic, buffer in buffers.items() if away and buffer.holds]
            liveness.look(reach, committed, excused=held)
    except Exception as error:  # noqa: BLE001 - who is not watched would look well
        await app.die(error)


async def _look(app: App, buffers: Collection[SinkBuffer]) -> None:
    """Compare what was inserted with what is there."""
    try:
        for buffer in buffers:
            await buffer.check.look()
    except Exception as error:  # noqa: BLE001 - a check that has ended would look like a good one
        await app.die(error)


async def _agent(app: App, fill: Any, stream: Any) -> None:
    await consume(app, stream, fill)


def routes(codec: Codec) -> list[tuple[str, Table[Any], Decode]]:
    """Return each topic that has a table, with its table and how its records are read."""
    actions = [name for name in load_topics() if name.startswith("actions.")]
    return [
        ("touchpoints", TOUCHPOINTS, lambda record: decode_record(codec, record.key, record.value)),
        ("facts", FACTS, lambda record: codec.decode_fact(record.value)),
        *((name, ACTIONS, lambda record: codec.decode_action(record.value)) for name in actions),
        ("aggregates", AGGREGATES, lambda record: codec.decode_aggregate(record.value)),
        ("funnel-progress", FUNNEL_PROGRESS, lambda record: codec.decode_progress(record.value)),
        ("dead-letters", DEAD_LETTERS, lambda record: codec.decode_dead_letter(record.value)),
    ]


async def _fill(
    buffer: SinkBuffer, table: Table[Any], decode: Decode, tp: TP, records: Sequence[Any]
) -> None:
    rows = []
    for record in records:
        try:
            decoded = decode(record)
        except DecodeError:
            if table is not TOUCHPOINTS:
                raise
            continue  # the worker writes its dead letter, which is a row of its own
        rows.append(
            table.row(Place(tp.topic, tp.partition, record.offset, record.timestamp), decoded)
        )
    await buffer.add(tp, rows, records[0].offset, records[-1].offset + 1)
