"""Funnel, retention and RFM on 69,659 real purchases, against pandas over the raw file."""

from collections.abc import Iterator

import pandas as pd
import pytest
from warehouses import NewTables

from schemas.records import Touchpoint
from schemas.shipped import shipped
from sinks.condition import Condition
from sinks.funnel import run_funnel
from sinks.funnel_spec import Funnel, Step
from sinks.orders import OrderRules
from sinks.retention import Retention, retention
from sinks.rfm_matrix import RfmCuts, rfm_matrix, rfm_movement
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Warehouse

DAY = 86_400_000
DATES = ("1997-03-31", "1997-06-30", "1997-09-30", "1997-12-31", "1998-06-30")
CUTS = RfmCuts(90 * DAY, 3, 5000)
RULES = OrderRules("USD", 0)
BOUGHT = Condition.of("order_paid")


@pytest.fixture(scope="module")
def purchases() -> pd.DataFrame:
    """The raw file: customer, day, cents, and the milliseconds of the day's midnight."""
    table = pd.read_csv(
        shipped("examples/cdnow_master.txt"),
        sep=r"\s+",
        skiprows=1,
        names=["customer", "day", "cds", "dollars"],
        dtype={"customer": str, "day": str},
    )
    table["day"] = pd.to_datetime(table["day"], format="%Y%m%d")
    table["cents"] = (table["dollars"] * 100).round().astype("int64")
    table["at"] = (table["day"] - pd.Timestamp(0)) // pd.Timedelta(milliseconds=1)
    return table.sort_values(["customer", "at"], kind="stable")


@pytest.fixture(scope="module")
def warehouse(purchases: pd.DataFrame, new_tables: NewTables) -> Iterator[Warehouse]:
    """The purchases as touchpoints, half of them stored twice."""
    with new_tables() as warehouse:
        rows = [
            TOUCHPOINTS.row(
                ("touchpoints", 0, i, row.at),
                Touchpoint(
                    f"e{i}",
                    row.customer,
                    row.at,
                    "order_paid",
                    {"order_id": f"o{i}", "amount_minor": row.cents, "currency": "USD"},
                ),
            )
            for i, row in enumerate(purchases.itertuples())
        ]
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[::2])
        yield warehouse


@pytest.mark.parametrize("days", [30, 90, 180])
def test_first_second_and_third_purchase(
    warehouse: Warehouse, purchases: pd.DataFrame, days: int
) -> None:
    """The funnel from the first purchase equals pandas, median time to the next one included."""
    steps = tuple(Step(name, BOUGHT) for name in ("first", "second", "third"))
    result = run_funnel(warehouse, Funnel("repeat", steps, days * DAY, "first"))
    group = purchases.groupby("customer")["at"]
    first, number = group.transform("min"), group.cumcount()
    in_time = purchases[(purchases["at"] - first <= days * DAY) & (number < 3)]
    expected = number[in_time.index].value_counts().sort_index()
    assert [step.people for step in result.steps] == list(expected)
    gaps = in_time.assign(gap=in_time.groupby("customer")["at"].diff(), number=number)
    for step in (1, 2):
        took = sorted(gaps[gaps["number"] == step]["gap"])
        assert result.steps[step].median_ms == took[len(took) // 2]


def test_monthly_cohorts(warehouse: Warehouse, purchases: pd.DataFrame) -> None:
    """Each month's buyers and how many bought again in each month after equal pandas."""
    month = purchases["day"].dt.to_period("M")
    cohort = month.groupby(purchases["customer"]).transform("min")
    later = month.map(lambda m: m.ordinal) - cohort.map(lambda m: m.ordinal)
    expected = purchases.groupby([cohort, later])["customer"].nunique()
    cohorts = retention(warehouse, Retention(BOUGHT, BOUGHT, "month", periods=24))
    found = {
        (pd.Period(each.start, "M"), k): n
        for each in cohorts
        for k, n in enumerate(each.returned)
        if n
    }
    assert found == expected.to_dict()
    assert sum(each.people for each in cohorts) == purchases["customer"].nunique() == 23_570
    assert all(each.people == each.returned[0] for each in cohorts)


def _letters(purchases: pd.DataFrame, at: int) -> pd.DataFrame:
    people = purchases[purchases["at"] <= at].groupby("customer").agg(
        last=("at", "max"), orders=("at", "size"), cents=("cents", "sum")
    )  # fmt: skip
    scored = [people["last"] >= at - 90 * DAY, people["orders"] >= 3, people["cents"] >= 5000]
    columns = [test.map({True: "H", False: "L"}) for test in scored]
    return people.assign(letters=columns[0] + columns[1] + columns[2])


@pytest.mark.parametrize("date", DATES)
def test_the_rfm_matrix(warehouse: Warehouse, purchases: pd.DataFrame, date: str) -> None:
    """People, orders and money of the eight segments at five dates equal pandas, to the cent."""
    at = pd.Timestamp(date).value // 1_000_000
    expected = (
        _letters(purchases, at)
        .groupby("letters")
        .agg(people=("orders", "size"), orders=("orders", "sum"), cents=("cents", "sum"))
    )
    found = rfm_matrix(warehouse, CUTS, RULES, at)
    assert {letters: tuple(cell) for letters, cell in found.items()} == {
        row.Index: (row.people, row.orders, row.cents) for row in expected.itertuples()
    }


def test_the_rfm_movement(warehouse: Warehouse, purchases: pd.DataFrame) -> None:
    """Who moved from one segment to another between two dates equals pandas."""
    earlier, later = (pd.Timestamp(date).value // 1_000_000 for date in (DATES[0], DATES[3]))
    both = pd.concat(
        {
            "from": _letters(purchases, earlier)["letters"],
            "to": _letters(purchases, later)["letters"],
        },
        axis="columns",
    )
    expected = both.fillna("").groupby(["from", "to"]).size().to_dict()
    assert rfm_movement(warehouse, CUTS, RULES, earlier, later) == expected
