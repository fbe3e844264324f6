"""Random playbooks and histories for journeys: small alphabets, so that everything meets."""

from typing import Any

from hypothesis import strategies as st
from journeys_people import DAY, HOUR, MINUTE, book, when
from strategies import Log

from processors.playbook import Playbook
from schemas.records import Touchpoint

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe")
CHANNELS = ("wecom", "sms")
PURPOSES = ("marketing", "service")
CONSENT = ("opt_out", "opt_out", "opt_in")
# A day or so before clocks change: Berlin, New York, Lord Howe, each both ways.
STARTS = tuple(
    when(day)
    for day in (
        "2026-03-28",
        "2026-10-24",
        "2026-03-07",
        "2026-10-31",
        "2026-04-04",
        "2026-10-03",
    )
)

CONDITIONS: tuple[dict[str, Any], ...] = (
    {"attribute": {"name": "score", "at_least": 3}},
    {"attribute": {"name": "score", "exists": False}},
    {"segment": ["general_develop", "important_develop", "general_value", "important_value"]},
    {"stage": {"machine": "customer", "is": "new_purchased"}},
    {"friend": "held"},
    {"event": "message_received"},
    {"not": {"stage": {"machine": "aipl", "in": ["purchase", "loyalty"]}}},
)
CLOCKED: tuple[dict[str, Any], ...] = (
    {"not_done": {"event": "page_viewed", "for": "2d"}},
    {"count": {"event": "page_viewed", "within": "1d", "at_least": 2}},
    {"count": {"event": "page_viewed", "within": "6h", "at_most": 0}},
)
ANY_CONDITION = st.sampled_from((*CONDITIONS, *CLOCKED))
TIMES_OF_DAY = st.sampled_from(("00:00", "01:45", "02:15", "02:30", "09:00", "23:30"))


@st.composite
def actions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the action of a step."""
    expires = draw(st.sampled_from((None, None, "3h", "1d")))
    return {
        "family": draw(st.sampled_from(("message", "message", "message", "message", "lead"))),
        "template": "t",
        "channel": draw(st.sampled_from(("", *CHANNELS))),
        "sender": draw(st.sampled_from(("", "li", "{friend|wang}"))),
        "purpose": draw(st.sampled_from(("", "", *PURPOSES))),
        "params": {"score": "{attribute.score|0}"},
        **({"expires_after": expires} if expires else {}),
    }


@st.composite
def bodies(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw the steps of an SOP: any step may lead to any, and each is reached."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 4)))]
    steps = []
    for number, name in enumerate(names):
        following = names[number + 1] if number + 1 < len(names) else "end"
        if draw(st.integers(0, 3)) == 0:
            condition, timeout = draw(ANY_CONDITION), draw(st.sampled_from(("0s", "5h", "2d")))
            back = draw(st.sampled_from((*names, "end")))
            ways = {"then": following, "else": back}
            if draw(st.booleans()):
                ways = {"then": back, "else": following}
            steps.append({"name": name, "wait": {"for": condition, "timeout": timeout, **ways}})
            continue
        times: tuple[dict[str, Any], ...] = (
            {},
            {"delay": "45m"},
            {"delay": "2h"},
            {"delay": "7h"},
            {"days": draw(st.integers(0, 2)), "at": draw(TIMES_OF_DAY)},
            {"delay": "1h", "at": draw(TIMES_OF_DAY)},
            {"date": "2026-10-25", "at": draw(TIMES_OF_DAY)},
        )
        step = {"name": name, "action": draw(actions()), **draw(st.sampled_from(times))}
        if draw(st.integers(0, 3)) == 0:
            step["only_if"] = draw(ANY_CONDITION)
        steps.append(step)
    if "action" in steps[-1] and draw(st.booleans()):
        steps[-1]["then"] = names[0]
    return steps


@st.composite
def sops(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw an SOP that many of the events open."""
    enter = draw(
        st.sampled_from(
            (
                {"event": ["group_joined", "order_paid"]},
                {"event": ["group_joined", "page_viewed"]},
                {"event": "page_viewed", "where": {"page": "/a"}},
                {"condition": CONDITIONS[0]},
                {"condition": CONDITIONS[2]},
                {"condition": CLOCKED[0]},
                {"condition": CLOCKED[1]},
            )
        )
    )
    exits = ("refunded", "friend_removed", "consent_withdrawn", "second_order")
    sop = {
        "name": name,
        "version": 1,
        "enter": enter,
        "steps": draw(bodies()),
        "reentry": draw(st.sampled_from(("never", "after_exit", "after_exit", {"after": "1d"}))),
        "priority": draw(st.integers(-1, 1)),
        "max_visits": draw(st.integers(1, 4)),
        "exit_on": draw(st.lists(st.sampled_from(exits), max_size=2, unique=True)),
    }
    if draw(st.integers(0, 5)) == 0:
        sop["goal"] = draw(ANY_CONDITION)
    return sop


@st.composite
def caps(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw a cap."""
    window = draw(
        st.sampled_from(({"per": "day"}, {"within": "2d"}, {"within": "5h"}, {"per": "week"}))
    )
    each = draw(st.lists(st.sampled_from(("channel", "sender")), max_size=2, unique=True))
    return {
        "name": name,
        "at_most": draw(st.sampled_from((1, 1, 2, 3))),
        **window,
        "each": each,
        "channels": draw(st.sampled_from(([], ["wecom"]))),
        "families": draw(st.sampled_from((["message"], ["message", "lead"]))),
        "then": draw(st.sampled_from(("drop", "defer"))),
    }


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw everything in a playbook that holds actions back."""
    hours = [("22:00", "08:00"), ("00:30", "02:30"), ("02:15", "01:45"), ("12:00", "13:00")]
    first, end = draw(st.sampled_from(hours))
    quiet = {"from": first, "to": end, "then": draw(st.sampled_from(("defer", "drop")))}
    return {
        "timezone": draw(st.sampled_from(ZONES)),
        "consent": {purpose: draw(st.sampled_from(CONSENT)) for purpose in PURPOSES},
        "caps": [draw(caps(f"cap-{number}")) for number in range(draw(st.integers(1, 2)))],
        "holdout": {"percent": draw(st.sampled_from((0, 0, 0, 0, 40))), "salt": "salt"},
        **({"quiet_hours": quiet} if draw(st.booleans()) else {}),
    }


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], Playbook]:
    """Draw the rules and a playbook under them."""
    drawn = draw(rules())
    journeys = [draw(sops(f"sop-{number}")) for number in range(draw(st.integers(1, 3)))]
    return drawn, book(*journeys, stages={"customer": {"new_for": "2d"}}, **drawn)


PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "group_joined": st.just({"way": ""}),
    "page_viewed": st.sampled_from(("/a", "/b")).map(
        lambda page: {"page": page, "category": "", "duration_ms": 0}
    ),
    "message_received": st.just({"intent": "", "length": 1}),
    "order_paid": st.sampled_from(("o1", "o2")).map(
        lambda order: {"order_id": order, "amount_minor": 100, "currency": "CNY"}
    ),
    "order_refunded": st.sampled_from(("o1", "o2")).map(
        lambda order: {"order_id": order, "amount_minor": 100, "currency": "CNY"}
    ),
    "friend_added": st.just({"way": ""}),
    "friend_removed": st.just({"by_person": True}),
    "consent_changed": st.fixed_dictionaries(
        {
            "purpose": st.sampled_from(PURPOSES),
            "on_channel": st.sampled_from(("*", *CHANNELS)),
            "granted": st.booleans(),
        }
    ),
    "attribute_set": st.one_of(
        st.fixed_dictionaries(
            {"name": st.just("timezone"), "value": st.sampled_from((*ZONES, None, "nowhere"))}
        ),
        st.fixed_dictionaries({"name": st.just("score"), "value": st.integers(0, 5) | st.none()}),
    ),
}


@st.composite
def lives(draw: st.DrawFn) -> Log:
    """Draw the log of two people around a change of the clocks; no two events at one time."""
    clock = draw(st.sampled_from(STARTS))
    log: Log = []
    for number in range(draw(st.integers(4, 30))):
        clock += draw(st.sampled_from((1, 7 * MINUTE, HOUR, 5 * HOUR, 11 * HOUR, 2 * DAY)))
        if log and draw(st.integers(0, 9)) == 0:
            touchpoint = draw(st.sampled_from(log))[0]
        else:
            kind = draw(st.sampled_from((*sorted(PAYLOADS), "group_joined", "page_viewed")))
            delay = draw(st.sampled_from((0, 0, 0, 0, 0, 2 * HOUR, 30 * HOUR, 9 * DAY)))
            touchpoint = Touchpoint(
                f"e{number}",
                draw(st.sampled_from(("ann", "ann", "bob"))),
                clock - delay + number,
                kind,
                draw(PAYLOADS[kind]),
                backfill=draw(st.integers(0, 9)) == 0,
                staff=draw(st.sampled_from(("li", "wang"))),
            )
        log.append((touchpoint, clock + number))
    return log
