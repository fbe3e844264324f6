"""The AARRR board, flows, participation and the effect of an SOP, against plain Python."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from warehouses import NewTables

from schemas.records import Fact, Touchpoint
from sinks.board import Board, board
from sinks.condition import Condition
from sinks.effect import Arm, difference, sop_effect, wilson
from sinks.flow import Participation, participation, stage_flow
from sinks.orders import OrderRules
from sinks.sales import by_product, by_refund_reason
from sinks.tables import FACTS, TOUCHPOINTS
from sinks.warehouse import Warehouse

KINDS = (
    "page_viewed", "friend_added", "friend_removed", "group_joined", "content_shared",
    "activity_attended", "trial_started", "order_paid", "order_refunded", "referral_made",
    "action_reported",
)  # fmt: skip
PEOPLE = [f"u{i}" for i in range(150)]
Place = tuple[int, int]


@pytest.fixture(scope="module")
def warehouse(new_tables: NewTables) -> Iterator[Warehouse]:
    """The tables of the log; each test empties those that it fills."""
    with new_tables() as warehouse:
        yield warehouse


def _put(warehouse: Warehouse, events: list[Touchpoint]) -> None:
    warehouse.execute("TRUNCATE TABLE touchpoints")
    rows = [TOUCHPOINTS.row(("touchpoints", 0, i, 0), event) for i, event in enumerate(events)]
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows)
    warehouse.insert("touchpoints", TOUCHPOINTS.columns, rows[::3])


def _payload(random: Random, kind: str, user: str) -> dict[str, Any]:
    order = {"order_id": f"{user}-{random.randrange(3)}", "currency": "CNY"}
    match kind:
        case "order_paid":
            product = random.choice("ab")
            return order | {"amount_minor": random.randrange(0, 500), "product": product}
        case "order_refunded":
            return order | {"amount_minor": random.randrange(300), "reason": random.choice("xy")}
        case "trial_started":
            return {"product": "a", "amount_minor": random.choice((0, 100))}
        case "referral_made":
            return {"referred_user_id": random.choice(PEOPLE)}
    return {}


def _log(random: Random) -> list[Touchpoint]:
    events: list[Touchpoint] = []
    for number in range(1500):
        if events and random.random() < 0.05:
            events.append(random.choice(events))
            continue
        kind, user = random.choice(KINDS), random.choice(PEOPLE)
        events.append(
            Touchpoint(
                f"e{number}", user, random.randrange(300), kind, _payload(random, kind, user),
                staff=random.choice(("li", "wang")) if kind.startswith("friend") else "",
            )
        )  # fmt: skip
    return events


def _figures(  # noqa: C901 - as long as the board
    events: list[Touchpoint], since: int, until: int, silent: int
) -> dict[str, Any]:
    """Return the board's values of one period, from their one-line meanings."""
    once = {}
    for place, event in enumerate(events):
        once.setdefault((event.user_id, event.event_id), (event.occurred_at, place, event))
    known = sorted((at, place, e) for at, place, e in once.values() if at < until)
    touches = [(at, e) for at, _, e in known if e.kind != "action_reported"]
    came: dict[str, int] = {}
    latest: dict[str, int] = {}
    relations: dict[str, dict[str, str]] = defaultdict(dict)
    removed: dict[str, int] = {}
    for at, e in touches:
        came.setdefault(e.user_id, at)
        if e.kind != "friend_removed":
            latest[e.user_id] = at
        else:
            removed[e.user_id] = at
        if e.kind.startswith("friend"):
            relations[e.user_id][e.staff] = e.kind

    def who(test: Callable[[Touchpoint], bool]) -> set[str]:
        return {e.user_id for at, e in touches if at >= since and test(e)}

    def kind(name: str) -> set[str]:
        return who(lambda e: e.kind == name)

    gone = {u for u, each in relations.items() if set(each.values()) == {"friend_removed"}}
    base = set(came) - gone
    active = who(lambda e: e.kind != "friend_removed")
    viewers, friends, sharers = kind("page_viewed"), kind("friend_added"), kind("content_shared")
    trials = kind("trial_started")
    trial_buyers = set()
    for user in trials:
        begun = min(
            at
            for at, e in touches
            if e.user_id == user and e.kind == "trial_started" and at >= since
        )
        if any(
            e.user_id == user
            and e.kind == "order_paid"
            and e.payload["amount_minor"] > 0
            and at >= begun
            for at, e in touches
        ):
            trial_buyers.add(user)
    paid, back = defaultdict(list), Counter[tuple[str, str]]()
    revenue = 0
    for at, e in touches:
        if e.kind == "order_paid":
            paid[e.user_id, e.payload["order_id"]].append((at, e.payload["amount_minor"]))
        if e.kind == "order_refunded":
            back[e.user_id, e.payload["order_id"]] += e.payload["amount_minor"]
        if at >= since and e.kind.startswith("order_"):
            revenue += e.payload["amount_minor"] * (1 if e.kind == "order_paid" else -1)
    orders = {
        key: (min(each)[0], total - back[key])
        for key, each in paid.items()
        if (total := sum(amount for _, amount in each)) >= 1
        and not (back[key] and back[key] >= total)
    }
    own = {key: order for key, order in orders.items() if order[0] >= since}
    first_order: dict[str, int] = {}
    for (user, _), (at, _) in orders.items():
        first_order[user] = min(first_order.get(user, at), at)
    buyers = {user for user, _ in own}
    return {
        "landing_uv": len(viewers),
        "visit_rate": len(viewers) / len(base),
        "new_people": sum(at >= since for at in came.values()),
        "friends_added": len(friends),
        "add_rate": len(friends & viewers) / len(viewers),
        "shares": sum(e.kind == "content_shared" and at >= since for at, e in touches),
        "share_rate": len(sharers) / len(active),
        "base": len(base),
        "active": len(active),
        "group_joins": len(kind("group_joined")),
        "sharers": len(sharers),
        "participants": len(kind("activity_attended")),
        "participation_rate": len(kind("activity_attended")) / len(base),
        "free_trials": len(
            who(lambda e: e.kind == "trial_started" and not e.payload["amount_minor"])
        ),
        "paid_trials": len(who(lambda e: e.kind == "trial_started" and e.payload["amount_minor"])),
        "silent": sum(latest.get(user, 0) < until - silent for user in base),
        "lost": sum(removed.get(user, -1) >= since for user in gone),
        "trial_conversion": len(trial_buyers) / len(trials),
        "buyers": len(buyers),
        "conversion": len(buyers) / len(active),
        "new_buyers": sum(at >= since for at in first_order.values()),
        "revenue": revenue,
        "orders": len(own),
        "order_value": sum(net for _, net in own.values()) / len(own),
        "orders_per_buyer": len(own) / len(buyers),
        "referrers": len(kind("referral_made")),
    }  # fmt: skip


def test_every_line_is_what_it_says(warehouse: Warehouse) -> None:
    """The lines equal a count in plain Python, in the period and in the one before."""
    events = _log(Random(3))  # noqa: S311 - test data
    _put(warehouse, events)
    question = Board(200, 300, 100, OrderRules("CNY"), silent_ms=40, cost_minor=5000)
    lines = {line.name: line for line in board(warehouse, question)}
    now, then = _figures(events, 200, 300, 40), _figures(events, 100, 200, 40)
    for name, value in now.items():
        assert lines[name].value == pytest.approx(value), name
        assert lines[name].before == pytest.approx(then[name]), name
    assert lines["cost_of_acquisition"].value == 5000 / now["friends_added"]
    assert lines["roi"].value == pytest.approx((now["revenue"] - 5000) / 5000)
    assert lines["roi"].before is None
    assert set(lines) - set(now) == {"cost_of_acquisition", "roi", "fission_friends", "k_factor"}


def test_products_and_reasons(warehouse: Warehouse) -> None:
    """Money by product and by reason of refund adds up to the revenue of the board."""
    events = _log(Random(5))  # noqa: S311 - test data
    _put(warehouse, events)
    rules = OrderRules("CNY")
    products, reasons = (f(warehouse, rules, 100, 300) for f in (by_product, by_refund_reason))
    assert {part.name for part in products} == {"a", "b"}
    assert {part.name for part in reasons} == {"x", "y"}
    revenue = sum(part.amount_minor for part in products) - sum(p.amount_minor for p in reasons)
    assert revenue == _figures(events, 100, 300, 40)["revenue"]


def test_an_empty_warehouse_has_a_board(warehouse: Warehouse) -> None:
    """Nothing is 0, and a share of nothing is unknown."""
    _put(warehouse, [])
    lines = {line.name: line for line in board(warehouse, Board(10, 20, 0, OrderRules("CNY")))}
    assert lines["revenue"].value == lines["base"].value == 0
    assert lines["conversion"].value is None


def _fact(number: int, user: str, at: int, kind: str, subject: str, new: str) -> Fact:
    return Fact(f"f{number}", user, kind, at, subject, "", new, "event", "e", "r", "p", 1, {})


def _put_facts(warehouse: Warehouse, facts: list[Fact]) -> None:
    warehouse.execute("TRUNCATE TABLE facts")
    rows = [FACTS.row(("facts", 0, i, 0), fact) for i, fact in enumerate(facts)]
    warehouse.insert("facts", FACTS.columns, rows)
    warehouse.insert("facts", FACTS.columns, rows[::2])


def test_the_flow_between_stages(warehouse: Warehouse) -> None:
    """Each person goes from the stage at one instant to that at another, by the latest fact."""
    random = Random(9)  # noqa: S311 - test data
    stages = ("awareness", "interest", "purchase", "loyalty")
    facts = [
        _fact(
            i, random.choice(PEOPLE), at // 3, "stage_changed",
            random.choice(("aipl", "customer")), random.choice(stages),
        )
        for i, at in enumerate(range(900))
    ]  # fmt: skip
    _put_facts(warehouse, facts)

    def stage(user: str, at: int) -> str:
        own = [f.new for f in facts if f.user_id == user and f.subject == "aipl" and f.at <= at]
        return own[-1] if own else ""

    expected = Counter((stage(user, 100), stage(user, 250)) for user in PEOPLE)
    del expected["", ""]
    assert stage_flow(warehouse, 100, 250) == expected
    assert sum(expected.values()) > 100


def test_participation(warehouse: Warehouse) -> None:
    """232 of 1,000 people of the group took part: 23.2 %; who is not of it does not count."""
    joined = [
        Touchpoint(f"j{i}", f"p{i}", 5, "group_joined", {}, community="spring") for i in range(1000)
    ]
    came = [
        Touchpoint(f"a{i}", f"p{i}", 15, "activity_attended", {"activity": "camp"})
        for i in range(768, 1100)
    ]
    early = [Touchpoint("a", "p0", 9, "activity_attended", {"activity": "camp"})]
    _put(warehouse, joined + came + early)
    group = Condition.of("group_joined", community="spring")
    activity = Condition.of("activity_attended", activity="camp")
    assert participation(warehouse, group, activity, 10, 20) == Participation(1000, 232, 0.232)


def test_the_effect_of_an_sop(warehouse: Warehouse) -> None:
    """Arms are by the first acting step, whatever held the action back; the window is inclusive."""
    facts, orders = [], []
    for i in range(300):
        user, held = f"p{i}", i % 3 == 0
        kind = "action_suppressed" if held or i % 5 == 0 else "action_requested"
        reason = "holdout" if held else "consent" if i % 5 == 0 else f"id{i}"
        facts.append(_fact(i, user, 100, kind, "winback/remind", reason))
        facts.append(_fact(1000 + i, user, 90, "action_requested", "other/remind", "id"))
        facts.append(_fact(2000 + i, user, 90, "action_suppressed", "winback", "too_old"))
        at = {0: 150, 1: 151, 2: 100, 3: 99}.get(i % 4, 0)
        orders.append(Touchpoint(f"o{i}", user, at, "order_paid", {"amount_minor": 1}))
    _put_facts(
        warehouse, [*facts, _fact(9999, "p1", 120, "action_suppressed", "winback/x", "holdout")]
    )
    _put(warehouse, orders)
    effect = sop_effect(warehouse, "winback", Condition.of("order_paid"), 50)
    treated = [i for i in range(300) if i % 3 and i != 1]  # p1 is in both arms
    held = [i for i in range(300) if i % 3 == 0]
    assert effect.treated == Arm(len(treated), sum(i % 4 in {0, 2} for i in treated))
    assert effect.held_out == Arm(len(held), sum(i % 4 in {0, 2} for i in held))
    assert effect.lift == effect.treated.rate - effect.held_out.rate
    assert effect.low < effect.lift < effect.high
    assert sop_effect(warehouse, "nothing", Condition.of("order_paid"), 50).treated == Arm(0, 0)


def test_the_interval_is_newcombes() -> None:
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, table II (a), method 10)."""
    lift, low, high = difference(Arm(70, 56), Arm(80, 48))
    assert (lift, low, high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_the_interval_holds_what_it_promises() -> None:
    """Over all outcomes of two small arms, it holds the true difference nearly 95 % of the time."""
    n, p, q = 30, 0.3, 0.2

    def chance(k: int, rate: float) -> float:
        ways = 1
        for i in range(k):
            ways = ways * (n - i) // (i + 1)
        return float(ways) * rate**k * (1 - rate) ** (n - k)

    covered = sum(
        chance(a, p) * chance(b, q)
        for a in range(n + 1)
        for b in range(n + 1)
        for _, low, high in [difference(Arm(n, a), Arm(n, b))]
        if low <= p - q <= high
    )
    assert 0.93 < covered < 0.98


def test_wilson_at_the_edge() -> None:
    """Nobody of ten converted: the rate may still be 27.8 %."""
    low, high = wilson(Arm(10, 0))
    assert (low, high) == pytest.approx((0, 0.2775), abs=1e-4)
