"""Invented lives of people, one mix of events for each shipped playbook: the load of benchmarks.

People come in visits of about four events, some people far more often than others, as in life; one
event in a hundred comes a second time and one in ten up to two hours late. The same arguments give
the same events, whatever the machine.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from schemas.records import Touchpoint
from schemas.rules import REQUIRED, payload_rules

HOUR, DAY = 3_600_000, 86_400_000
START = 1_743_436_800_000
"""1 April 2025, 0:00 in Shanghai: before the fixed dates of the shipped playbooks."""
PACE = 4 * DAY
"""Between two events of one person, in the mean."""
AGAIN, DELAYED, LEAVING = 0.01, 0.1, 0.25
ONLINE = 64
"""People who visit at the same time."""
_STAFF = ("anna", "ben", "chloe", "dan")
_SOURCES = ("", "douyin", "shop_qr", "moments", "referral")
_RECENT = 1_000
"""Repeats come from so many last events."""


class Habit(NamedTuple):
    """One kind of event of a mix: how often of all, and what its fields may hold."""

    weight: int
    kind: str
    choices: Mapping[str, tuple[Any, ...]] = {}


_COMMON = (
    Habit(
        3, "consent_changed", {"purpose": ("marketing", "service"), "granted": (True, True, False)}
    ),
    Habit(1, "friend_removed"),
    Habit(1, "group_left"),
    Habit(2, "action_reported", {"outcome": ("delivered", "clicked", "rejected")}),
)
_RETAIL = (
    Habit(56, "page_viewed", {"page": ("/shop",), "category": ("serum", "cream", "mask", "")}),
    Habit(14, "message_received", {"intent": ("", "price", "how_to")}),
    Habit(
        8,
        "order_paid",
        {
            "product": ("serum-30", "serum-50", "cream", "mask", "set-spring"),
            "amount_minor": (5_900, 12_900, 29_900, 89_900),
        },
    ),
    Habit(1, "order_refunded"),
    Habit(3, "friend_added"),
    Habit(5, "link_scanned", {"code": ("card-1", "till-3"), "placement": ("parcel", "shop")}),
    Habit(1, "group_joined"),
    Habit(2, "content_shared", {"content": ("post",), "positive": (True, True, False)}),
    Habit(1, "referral_made"),
    Habit(2, "activity_attended", {"activity": ("skin-day",), "category": ("salon",)}),
    Habit(3, "attribute_set", {"name": ("skin_type", "name"), "value": ("dry", "oily")}),
    Habit(1, "attribute_set", {"name": ("birthday_week",), "value": (True,)}),
)
_EXAM = (
    Habit(36, "page_viewed", {"page": ("/course",), "category": ("course", "course", "news")}),
    Habit(18, "message_received", {"intent": ("", "greeting", "price")}),
    Habit(8, "friend_added"),
    Habit(8, "link_scanned", {"code": ("openday-7", "poster-2"), "placement": ("home_page",)}),
    Habit(3, "group_joined"),
    Habit(5, "trial_started", {"product": ("trial-math",)}),
    Habit(4, "trial_finished", {"product": ("trial-math",), "completed_percent": (30, 70, 100)}),
    Habit(
        3,
        "order_paid",
        {"product": ("full-math", "book"), "amount_minor": (9_900, 398_000, 598_000)},
    ),
    Habit(1, "order_refunded"),
    Habit(3, "activity_attended", {"activity": ("openday",), "category": ("talk",)}),
    Habit(2, "attribute_set", {"name": ("exam_year",), "value": (2026, 2027)}),
    Habit(
        3, "attribute_set", {"name": ("target_school", "target_major"), "value": ("a", "b", "c")}
    ),
    Habit(2, "attribute_set", {"name": ("attempt",), "value": (1, 2)}),
)
_VOCATIONAL = (
    Habit(30, "page_viewed", {"page": ("/java",), "category": ("course", "salary")}),
    Habit(16, "message_received", {"intent": ("", "price", "enrol")}),
    Habit(9, "friend_added"),
    Habit(
        8, "link_scanned", {"code": ("open-class-2025-04-18-java", "flyer"), "placement": ("live",)}
    ),
    Habit(
        16,
        "activity_attended",
        {"activity": ("lesson", "form"), "category": ("camp", "camp", "open_class", "survey")},
    ),
    Habit(6, "group_joined"),
    Habit(2, "order_paid", {"product": ("java",), "amount_minor": (9_900, 1_280_000)}),
    Habit(3, "attribute_set", {"name": ("direction", "background"), "value": ("java", "none")}),
    Habit(1, "attribute_set", {"name": ("tag:do-not-call",), "value": (True,)}),
)
_GROWTH = (
    Habit(24, "page_viewed", {"page": ("/deal",), "category": ("deal",)}),
    Habit(14, "link_scanned", {"code": ("fission-spring", "shop"), "placement": ("poster",)}),
    Habit(16, "referral_made"),
    Habit(
        12,
        "content_shared",
        {"content": ("poster",), "target": ("moments", "group"), "positive": (True,)},
    ),
    Habit(9, "friend_added"),
    Habit(
        12, "order_paid", {"product": ("deal", "bundle"), "amount_minor": (990, 990, 8_900, 19_900)}
    ),
    Habit(2, "order_refunded"),
    Habit(4, "message_received", {"intent": ("", "price")}),
    Habit(3, "activity_attended", {"activity": ("spring",), "category": ("live",)}),
)
MIXES: Mapping[str, tuple[Habit, ...]] = {
    "second-purchase": _RETAIL,
    "refined-retail": (*_RETAIL, *_COMMON),
    "exam-prep": (*_EXAM, *_COMMON),
    "vocational-course": (*_VOCATIONAL, *_COMMON),
    "growth-loop": (*_GROWTH, *_COMMON),
    "all": (*_RETAIL, *_EXAM, *_VOCATIONAL, *_GROWTH, *_COMMON),
}
"""The habits by playbook; ``all`` has those of the four that ship for whole businesses."""


def invent(
    mix: str, events: int, people: int, start: int = START, currency: str = "CNY"
) -> Iterator[tuple[Touchpoint, int]]:
    """Yield touchpoints of people who live by a mix, each with the stream time of its record.

    Args:
        mix: A name of ``MIXES``.
        events: How many.
        people: How many people there are; a tenth of them cause a third of the events.
        start: Stream time of the first record, in milliseconds.
        currency: The one that orders are paid in; a playbook counts in one only.
    """
    random = Random(1)  # noqa: S311 - load, not a secret
    habits = MIXES[mix]
    weights = list(accumulate(habit.weight for habit in habits))
    latest: deque[Touchpoint] = deque(maxlen=_RECENT)
    orders: dict[str, tuple[str, int]] = {}
    online = [_visitor(random, people) for _ in range(ONLINE)]
    for number in range(events):
        at = start + number * PACE // people
        if latest and random.random() < AGAIN:
            yield random.choice(latest), at
            continue
        slot = random.randrange(ONLINE)
        user_id = online[slot]
        if random.random() < LEAVING:
            online[slot] = _visitor(random, people)
        (habit,) = random.choices(habits, cum_weights=weights)
        if habit.kind == "order_refunded" and user_id not in orders:
            habit = habits[0]
        payload = _payload(random, habit, number, currency)
        if habit.kind == "order_paid":
            orders[user_id] = payload["order_id"], payload["amount_minor"]
        elif habit.kind == "order_refunded":
            payload["order_id"], payload["amount_minor"] = orders.pop(user_id)
        delay = random.randrange(2 * HOUR) if random.random() < DELAYED else 0
        touchpoint = _touchpoint(random, habit.kind, payload, f"e-{number:08}", user_id, at - delay)
        latest.append(touchpoint)
        yield touchpoint, at


def _visitor(random: Random, people: int) -> str:
    return f"u-{int(people * random.random() ** 2):07}"


def _payload(random: Random, habit: Habit, number: int, currency: str) -> dict[str, Any]:
    """Return all fields of the payload: the habit's choice, else a number or the default."""
    made = {
        "order_id": f"o-{number}",
        "amount_minor": 0,
        "currency": currency,
        "action_id": f"a-{number}",
        "referred_user_id": f"u-{number}",
    }
    return {
        name: random.choice(habit.choices[name])
        if name in habit.choices
        else made.get(name)
        if rule.default is REQUIRED
        else rule.default
        for name, rule in payload_rules()[habit.kind].fields.items()
    }


def _touchpoint(
    random: Random,
    kind: str,
    payload: dict[str, Any],
    event_id: str,
    user_id: str,
    occurred_at: int,
) -> Touchpoint:
    return Touchpoint(
        event_id,
        user_id,
        occurred_at,
        kind,
        payload,
        channel="wecom",
        source=random.choice(_SOURCES),
        campaign="spring",
        staff=random.choice(_STAFF),
        community="camp-april" if kind in ("group_joined", "group_left") else "",
    )
