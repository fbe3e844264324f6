"""Histories for the rules: one person, all kinds of events that the rules' playbook asks about."""

from typing import Any

from hypothesis import strategies as st
from strategies import DAY, HOUR, START, Log

from schemas.records import Touchpoint

SPAN = 6 * DAY

_ORDER = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(("o1", "o2", "o3")),
        "amount_minor": st.sampled_from((0, 99, 100, 2_500, 5_000, 9_999)),
        "currency": st.just("USD"),
    }
)
PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "page_viewed": st.fixed_dictionaries(
        {
            "page": st.sampled_from(("/course/a", "/course/b", "/")),
            "category": st.sampled_from(("course", "")),
            "duration_ms": st.sampled_from((0, 2_999, 3_000, 6_001)),
        }
    ),
    "message_received": st.fixed_dictionaries(
        {"intent": st.sampled_from(("price", "")), "length": st.integers(2, 3)}
    ),
    "friend_added": st.just({"way": "qr"}),
    "friend_removed": st.just({"by_person": True}),
    "group_joined": st.just({"way": ""}),
    "link_scanned": st.just({"code": "c", "placement": ""}),
    "attribute_set": st.fixed_dictionaries(
        {
            "name": st.sampled_from(
                (
                    "exam_year",
                    "exam_year",
                    "city",
                    "city",
                    "school",
                    "tag:vip",
                    "tag:first",
                    "tag:level",
                    "tag:reader",
                )
            ),
            "value": st.sampled_from((None, True, False, 1, 3, 3, "a", "b", "c")),
        }
    ),
    "content_shared": st.fixed_dictionaries(
        {"content": st.just("c"), "target": st.just(""), "positive": st.booleans()}
    ),
    "activity_attended": st.fixed_dictionaries(
        {"activity": st.sampled_from(("one", "two", "three")), "category": st.just("")}
    ),
    "trial_started": st.fixed_dictionaries(
        {"product": st.just("p"), "amount_minor": st.sampled_from((0, 60, 100))}
    ),
    "order_paid": _ORDER,
    "order_refunded": _ORDER,
}
_KINDS = (
    *PAYLOADS,
    "page_viewed",
    "page_viewed",
    "order_paid",
    "message_received",
    "attribute_set",
)


@st.composite
def _events(draw: st.DrawFn, number: int) -> Touchpoint:
    kind = draw(st.sampled_from(_KINDS))
    jitter = draw(st.sampled_from((0, 0, 0, -1, 1, 1_234_567)))
    return Touchpoint(
        event_id=f"e{number}",
        user_id="ann",
        occurred_at=START + draw(st.integers(0, SPAN // (6 * HOUR))) * 6 * HOUR + jitter,
        kind=kind,
        payload=draw(PAYLOADS[kind]),
        backfill=draw(st.sampled_from((False, False, False, True))),
        channel=draw(st.sampled_from(("wecom", "shop", "sms"))),
        staff=draw(st.sampled_from(("li", "wang"))),
    )


@st.composite
def lives(draw: st.DrawFn, most: int = 16) -> list[Touchpoint]:
    """Draw the distinct events of one person within six days."""
    return [draw(_events(number)) for number in range(draw(st.integers(1, most)))]


@st.composite
def deliveries(draw: st.DrawFn, life: list[Touchpoint]) -> Log:
    """Draw how a life arrives: in any order within the lateness, with repeats.

    Some events arrive a little before the time they carry: their sender's clock is ahead.
    """
    hours = st.sampled_from((0, 0, 0, 0, 1, 6, 24, 100, 160, -2))
    delays = draw(st.lists(hours, min_size=len(life), max_size=len(life)))
    log = [
        (event, event.occurred_at + delay * HOUR) for event, delay in zip(life, delays, strict=True)
    ]
    for event, at in draw(st.lists(st.sampled_from(log), max_size=4)):
        log.append((event, at + draw(st.integers(0, 5)) * HOUR))
    return sorted(log, key=lambda record: record[1])
