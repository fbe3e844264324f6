"""A condition in SQL says the same of an event as the playbook's own checks in Python."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from warehouses import NewTables

from processors.checks import compile_where
from schemas.playbook.conditions import PastSpec
from schemas.records import Touchpoint
from sinks.condition import Condition
from sinks.sql import Params
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Warehouse

TEXTS = ["", "a", "ab", "1", "true", "it's \\ \t", "你好"]
NUMBERS = [-1, 0, 1, 2**53 + 1, 1.5, -0.5, 1e300]
VALUES: list[Any] = [*TEXTS, *NUMBERS, True, False, None]
EVENTS = [
    Touchpoint(f"{name}-{i}", f"u{name}-{i}", i, "attribute_set", {"name": "n", "value": value},
               channel=text, backfill=bool(i % 2))
    for name, text in enumerate(TEXTS)
    for i, value in enumerate(VALUES)
]  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """One event for each channel and value."""
    with new_tables() as warehouse:
        rows = [TOUCHPOINTS.row(("touchpoints", 0, i, 0), each) for i, each in enumerate(EVENTS)]
        warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
        yield warehouse


_scalar = st.sampled_from([value for value in VALUES if value is not None])
_number = st.sampled_from(NUMBERS)
_checks = st.one_of(
    _scalar,
    st.fixed_dictionaries(
        {},
        optional={
            "equals": _scalar,
            "not_equals": _scalar,
            "in": st.lists(_scalar, min_size=1, max_size=4),
            "at_least": _number,
            "at_most": _number,
            "more_than": _number,
            "less_than": _number,
            "starts_with": st.sampled_from([text for text in TEXTS if text]),
            "exists": st.booleans(),
        },
    ).filter(len),
)


@settings(
    max_examples=120,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    where=st.dictionaries(
        st.sampled_from(["value", "channel", "backfill", "occurred_at"]), _checks, min_size=1
    )
)
def test_it_agrees_with_the_playbook(warehouse: Warehouse, where: dict[str, Any]) -> None:
    """Whatever is compared with whatever, SQL and the fold's closures pass the same events."""
    matches = compile_where(PastSpec(event=["attribute_set"], where=where).where)
    params = Params()
    sql = Condition.of("attribute_set", **where).sql(params)
    found = warehouse.query(f"SELECT event_id FROM touchpoints WHERE {sql}", params.values)  # noqa: S608 - ours
    assert matches is not None
    assert {event_id for (event_id,) in found} == {e.event_id for e in EVENTS if matches(e)}


@pytest.mark.parametrize(
    ("kinds", "where", "message"),
    [
        ((), {}, "at least one kind"),
        (("order_payed",), {}, "did you mean order_paid"),
        (("order_paid",), {"page": "x"}, "'page' is not a field of order_paid"),
        (("order_paid", "page_viewed"), {"amount_minor": 1}, "not a field of page_viewed"),
        (("order_paid",), {"amount_minor": {"least": 1}}, "'least' is no comparison"),
        (("order_paid",), {"amount_minor": {"at_least": "1"}}, "takes no str"),
        (("order_paid",), {"amount_minor": {"at_least": True}}, "takes no bool"),
    ],
)
def test_a_condition_that_makes_no_sense(
    kinds: tuple[str, ...], where: dict[str, Any], message: str
) -> None:
    """It is refused with the nearest thing that would be right."""
    with pytest.raises(ValueError, match=message):
        Condition.of(*kinds, **where)
