"""Attribution against plain Python: every minor unit of every order goes somewhere, once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from warehouses import NewTables

from schemas.records import Touchpoint
from sinks.attribution import Attribution, Credit, attribution
from sinks.orders import OrderRules
from sinks.tables import TOUCHPOINTS
from sinks.warehouse import Warehouse

MODELS = ("first", "last", "linear", "position")
Row = tuple[int, Touchpoint]


@pytest.fixture
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """The tables of the log, empty."""
    with new_tables() as warehouse:
        yield warehouse


def _store(warehouse: Warehouse, rows: list[Row]) -> None:
    stored = [TOUCHPOINTS.row(("touchpoints", 0, offset, 0), each) for offset, each in rows]
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, stored)
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, stored[::2])


def _money(event_id: str, user: str, at: int, kind: str, order: str, amount: int) -> Touchpoint:
    payload = {"order_id": order, "amount_minor": amount, "currency": "CNY"}
    return Touchpoint(event_id, user, at, kind, payload, channel="shop")


def _people(random: Random) -> list[Row]:
    """Return touches, orders in parts, refunds, and some of them published twice."""
    rows: list[Row] = []
    for person in range(400):
        for _ in range(random.randrange(12)):
            at, user, number = random.randrange(20), f"u{person}", len(rows)
            match random.randrange(6):
                case 0 | 1:
                    order = f"{user}-o{random.randrange(3)}"
                    event = _money(
                        f"e{number}", user, at, "order_paid", order, random.randrange(1000)
                    )
                case 2:
                    order = f"{user}-o{random.randrange(3)}"
                    event = _money(
                        f"e{number}", user, at, "order_refunded", order, random.randrange(300)
                    )
                case 3 if rows and rows[-1][1].user_id == user:
                    event = rows[-1][1]
                case _:
                    channel = random.choice(("", "wecom", "douyin", "mini_program"))
                    event = Touchpoint(f"e{number}", user, at, "page_viewed", {}, channel=channel)
            rows.append((number, event))
    return rows


def _expected(rows: list[Row], question: Attribution) -> dict[str, tuple[int, Fraction]]:
    once: dict[tuple[str, str], Row] = {}
    for offset, event in rows:
        once.setdefault((event.user_id, event.event_id), (offset, event))
    touches, paid = defaultdict(list), defaultdict(list)
    refunded = Counter[tuple[str, str]]()
    for offset, event in once.values():
        if event.kind == "page_viewed":
            if event.channel:
                touches[event.user_id].append((event.occurred_at, offset, event.channel))
            continue
        key = event.user_id, event.payload["order_id"]
        if event.kind == "order_paid":
            paid[key].append((event.occurred_at, event.payload["amount_minor"]))
        else:
            refunded[key] += event.payload["amount_minor"]
    money, parts = Counter[str](), defaultdict(Fraction)
    for (user, order), payments in paid.items():
        total, at = sum(amount for _, amount in payments), min(payments)[0]
        back = refunded[user, order]
        if total < 1 or (back and back >= total) or not question.since <= at < question.until:
            continue
        own = [c for t, _, c in sorted(touches[user]) if at - question.lookback_ms <= t <= at]
        channels = own or [""]
        done = Fraction(0)
        for channel, share in zip(channels, _shares(question.model, len(channels)), strict=True):
            net = total - back
            money[channel] += int(net * (done + share)) - int(net * done)
            done += share
            parts[channel] += share
        assert done == 1
    return {channel: (money[channel], part) for channel, part in parts.items()}


def _shares(model: str, n: int) -> list[Fraction]:
    match model:
        case "first":
            return [Fraction(1), *[Fraction(0)] * (n - 1)]
        case "last":
            return [*[Fraction(0)] * (n - 1), Fraction(1)]
        case "position" if n > 2:
            return [Fraction(2, 5), *[Fraction(1, 5 * (n - 2))] * (n - 2), Fraction(2, 5)]
    return [Fraction(1, n)] * n


@pytest.mark.parametrize("model", MODELS)
def test_against_plain_python(warehouse: Warehouse, model: Any) -> None:
    """Money and parts of orders by channel are those of exact fractions, and add up."""
    rows = _people(Random(7))  # noqa: S311 - test data
    _store(warehouse, rows)
    for question in (Attribution("channel", model), Attribution("channel", model, 5, 4, 15)):
        found = attribution(warehouse, question, OrderRules("CNY"))
        expected = _expected(rows, question)
        assert {credit.value: credit.revenue_minor for credit in found} == {
            channel: money for channel, (money, _) in expected.items()
        }
        for credit in found:
            assert credit.orders == pytest.approx(float(expected[credit.value][1]))
        assert len(found) == 4


def test_forty_twenty_forty(warehouse: Warehouse) -> None:
    """Of 1,001 fen over four touches, the ends get 40 % each, and no fen is lost."""
    rows = [
        (i, Touchpoint(f"e{i}", "u", i, "page_viewed", {}, channel=channel))
        for i, channel in enumerate("abcd")
    ]
    _store(warehouse, [*rows, (9, _money("e9", "u", 9, "order_paid", "o", 1001))])
    found = attribution(warehouse, Attribution("channel", "position"), OrderRules("CNY"))
    assert sorted(found) == [
        Credit("a", 400, 0.4), Credit("b", 100, 0.1), Credit("c", 100, 0.1), Credit("d", 401, 0.4),
    ]  # fmt: skip


def test_orders_in_another_currency_are_not_mixed_in(warehouse: Warehouse) -> None:
    """An order in dollars is no order of a shop that counts in yuan."""
    _store(warehouse, [(0, _money("e", "u", 0, "order_paid", "o", 5))])
    assert attribution(warehouse, Attribution(), OrderRules("USD")) == []
