"""Live figures in ClickHouse: equal to the raw log, whatever was stored twice or replayed."""

from collections.abc import Iterator
from random import Random

import pytest
from histories import lives
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_worlds import LATENESS, PLAYBOOK, ZONE, count_all, fold_cut, store, with_campaigns
from strategies import DAY, START, Log, cuts, logs
from test_aggregates import MINUTE, view
from warehouses import NewTables

from sinks.live import Dimension, Live, LiveRules, live, live_from_raw
from sinks.orders import OrderRules
from sinks.warehouse import Warehouse

RULES = LiveRules(OrderRules("USD", PLAYBOOK.min_order_minor), LATENESS, ZONE)
DIMENSIONS: tuple[Dimension, ...] = ("all", "channel", "campaign", "stage", "segment")
END = 1 << 42


@pytest.fixture(scope="module")
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """The tables of the log."""
    with new_tables() as warehouse:
        yield warehouse


@settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(log=(lives() | logs()).map(with_campaigns), data=st.data())
def test_the_live_figures_are_those_of_the_raw_log(
    warehouse: Warehouse, log: Log, data: st.DataObject
) -> None:
    """Both ways and a brute force agree in every figure, window and value."""
    folded = fold_cut(log, data.draw(cuts(len(log))), restart=True)
    store(warehouse, log, folded, Random(1))  # noqa: S311 - test data
    want = count_all(log)
    for grain in ("minute", "day"):
        for dimension in DIMENSIONS:
            question = Live(grain, 0, END, dimension)  # type: ignore[arg-type]
            kept, raw = live(warehouse, question), live_from_raw(warehouse, question, RULES)
            assert kept == raw
            assert {(grain, f.start, dimension, f.value): f[2:] for f in kept} == {
                key: sums for key, sums in want.items() if (key[0], key[2]) == (grain, dimension)
            }


def test_a_period_has_the_windows_that_begin_in_it(warehouse: Warehouse) -> None:
    """The begin of the period is of it, its end is not."""
    log = [(view(n, START + n * MINUTE), START + n * MINUTE) for n in range(5)]
    store(warehouse, log, fold_cut(log, [2]), Random(2))  # noqa: S311 - test data
    first = START // MINUTE * MINUTE
    period = Live("minute", first + MINUTE, first + 3 * MINUTE)
    assert [figures.start for figures in live(warehouse, period)] == [
        first + MINUTE,
        first + 2 * MINUTE,
    ]
    assert live(warehouse, Live("day", START + DAY, END)) == []
