"""The live funnel equals the ad hoc funnel on the same log, always; and plain Python agrees."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from funnel_oracle import Event, Rules, path
from funnel_worlds import (
    FUNNELS,
    HOUR,
    START,
    Folded,
    Record,
    applied,
    fold_all,
    playbook,
    store,
    world,
)
from warehouses import NewTables

from processors import walks
from sinks import funnel_live
from sinks.funnel import fell_out, funnel_trend, run_funnel
from sinks.funnel_live import (
    LiveFunnel,
    NotLive,
    _attempts,
    find_live,
    live_fell_out,
    live_trend,
    run_live,
)
from sinks.funnel_spec import Funnel
from sinks.sql import Params
from sinks.warehouse import Warehouse
from streams.funnels import count_steps, find_funnel

PEOPLE = 1_000 if os.environ.get("CI") else 250
SEED = 5
OTHERS = [{"name": "other", "window": "1d", "steps": FUNNELS[0]["steps"]}, FUNNELS[2]]


def _view(event: Event) -> bool:
    return event.kind == "page_viewed"


def _view_x(event: Event) -> bool:
    return event.kind == "page_viewed" and event.page == "x"


def _friend(event: Event) -> bool:
    return event.kind == "friend_added"


def _order(event: Event) -> bool:
    return event.kind == "order_paid"


def _big(event: Event) -> bool:
    return event.kind == "order_paid" and event.amount >= 100


def _left(event: Event) -> bool:
    return event.kind == "group_left"


def _either(event: Event) -> bool:
    return _friend(event) or _order(event)


RULES = {
    "plain": Rules((_view, _friend, _order), 20 * HOUR),
    "first": Rules((_view, _either, _big), 30 * HOUR, first_only=True),
    "orders": Rules((_order, _order, _order), 50 * HOUR),
    "own": Rules((_view_x, _view), 0),
    "without": Rules(
        (_view, _friend, _either, _order),
        40 * HOUR,
        exclusions=((_view_x, 2, 3), (_left, 1, 4), (_big, 2, 4)),
    ),
    "first-without": Rules(
        (_view, _view_x, _order), 40 * HOUR, first_only=True, exclusions=((_left, 1, 3),)
    ),
}

Made = tuple[Warehouse, list[Record], Folded]


@pytest.fixture(
    scope="module", params=["followed from the first", "followed later", "short memory"]
)
def made(request: pytest.FixtureRequest, new_tables: NewTables) -> Iterator[Made]:
    """A world, folded and stored."""
    random = Random(SEED)  # noqa: S311 - test data
    log = world(random, PEOPLE, longest=8)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "short memory":
            patch.setattr(walks, "EVENTS_AT_MOST", 4)
        before = playbook(OTHERS) if request.param == "followed later" else None
        folded = fold_all(random, log, playbook(), before)
    with new_tables() as warehouse:
        warehouse.execute("SYSTEM STOP MERGES")
        store(random, warehouse, log, folded)
        yield warehouse, log, folded


def _periods(funnel: Funnel) -> list[Funnel]:
    """Return the funnel of all entries, and of those of some days."""
    day = 24 * HOUR
    midnight = START - 3 * HOUR
    sunday = midnight + 3 * day - HOUR  # the clocks went forward
    periods = [
        (None, None),
        (None, sunday + day),
        (midnight + day, None),
        (sunday, sunday + 5 * day),
    ]
    return [funnel.between(*period) for period in periods]


def _rules(funnel: Funnel) -> Rules:
    bounds = {n: b for n in ("since", "until") if (b := getattr(funnel, n)) is not None}
    return replace(RULES[funnel.name], **({"since": -(10**15), "until": 10**15} | bounds))


@pytest.mark.parametrize("name", RULES)
def test_live_adhoc_and_plain_python_agree_about_every_person(made: Made, name: str) -> None:
    """Whatever came late, twice, wrongly or before the funnel was followed; in every period."""
    warehouse, log, folded = made
    people = applied(log, folded)
    for funnel in _periods(find_funnel(playbook(), name)):
        live = find_live(warehouse, funnel)
        assert isinstance(live, LiveFunnel)
        rules = _rules(funnel)
        expected = {u: p for u, events in people.items() if (p := path(events, rules))}
        found = _found(warehouse, live)
        assert found == {
            u: (len(p), [b.at - a.at for a, b in pairwise(p)], p[0].at, p[-1].at)
            for u, p in expected.items()
        }
        assert found, "the case tests nothing"
        assert run_live(warehouse, live) == run_funnel(warehouse, funnel)
    trend = funnel_trend(warehouse, funnel, timezone="Asia/Shanghai")
    assert live_trend(warehouse, live, timezone="Asia/Shanghai") == trend
    assert live_fell_out(warehouse, live, 1) == fell_out(warehouse, funnel, 1)


def test_with_too_many_whom_rows_cannot_answer_all_are_asked_from_raw_touches(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person beyond the bound is enough; the figures are the same, and the reason is told."""
    warehouse, _, _ = made
    funnel = find_funnel(playbook(), "plain")
    live = find_live(warehouse, funnel)
    assert isinstance(live, LiveFunnel)
    assert live.unsure, "the case tests nothing"
    monkeypatch.setattr(funnel_live, "UNSURE_AT_MOST", len(live.unsure))
    assert find_live(warehouse, funnel) == live
    monkeypatch.setattr(funnel_live, "UNSURE_AT_MOST", len(live.unsure) - 1)
    source = find_live(warehouse, funnel)
    assert isinstance(source, NotLive)
    assert f"more than {len(live.unsure) - 1:,} people" in source.reason
    assert count_steps(warehouse, funnel, source) == run_live(warehouse, live)


def _found(warehouse: Warehouse, live: LiveFunnel) -> dict[str, Any]:
    params = Params()
    columns = "person, reached, took, entered, last"
    sql = f"SELECT {columns} FROM ({_attempts(live, params, named=True)})"  # noqa: S608 - ours
    rows = warehouse.query(sql, params.values)
    assert len(rows) == len({row[0] for row in rows})
    return {user: (reached, list(took), *times) for user, reached, took, *times in rows}
