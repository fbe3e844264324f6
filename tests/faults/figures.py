"""Every figure that the board and the questions give: of the sink's warehouse, and of a clean one.

The clean one is filled once from the log, by a client that no fault has touched.
"""

from collections import defaultdict
from contextlib import closing
from typing import Any

from the_line import TheLine
from workload import SPAN, START

from schemas.wire import DecodeError
from sinks.attribution import Attribution, attribution
from sinks.board import Board, board
from sinks.condition import Condition
from sinks.effect import sop_effect
from sinks.migrations import migrate
from sinks.orders import OrderRules
from sinks.retention import Retention, retention
from sinks.tables import Place
from sinks.warehouse import Warehouse, open_warehouse
from streams.sink import routes

RULES = OrderRules("USD", 0)
BOUGHT = Condition.of("order_paid")
DAY = 86_400_000


def require_figures(line: TheLine) -> None:
    """Compare the figures of a line whose sink has stopped with those of a clean warehouse."""
    clean = line.settings.model_copy(update={"warehouse": f"chdb://{line.folder / 'clean'}"})
    rows = defaultdict[str, list[Any]](list)
    columns = {}
    for name, table, decode in routes(line.settings.new_codec()):
        columns[table.name] = table.columns
        for record in line.read(name):
            place = Place(record.topic, record.partition, record.offset, record.timestamp)
            try:
                rows[table.name].append(table.row(place, decode(record)))
            except DecodeError:
                assert name == "touchpoints"
    with closing(open_warehouse(clean.warehouse)) as warehouse:
        migrate(warehouse)
        for name, found in rows.items():
            warehouse.insert(name, columns[name], found)
        expected = figures(warehouse)
    assert any(metric[3] for metric in expected["board"])
    with closing(open_warehouse(line.settings.warehouse)) as warehouse:
        assert figures(warehouse) == expected


def figures(warehouse: Warehouse) -> dict[str, Any]:
    """Return the board of the second half of the workload, retention, attribution and effect."""
    middle = START + SPAN // 2
    return {
        "board": board(warehouse, Board(middle, START + 2 * SPAN, START, RULES)),
        "retention": [
            (str(cohort.start), *cohort[1:])
            for cohort in retention(warehouse, Retention(BOUGHT, BOUGHT))
        ],
        # Money is whole numbers. Shares of orders are not, and are added in any order.
        "attribution": [
            (credit.value, credit.revenue_minor, round(credit.orders, 6))
            for model in ("first", "last", "linear")
            for credit in attribution(warehouse, Attribution(field="source", model=model), RULES)
        ],
        "effect": sop_effect(warehouse, "second-purchase", BOUGHT, 30 * DAY),
    }
