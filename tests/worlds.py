"""Random playbooks: every rule there is, and journeys of all shapes that ask about them.

Tags, stages, RFM, points and tiers are those of ``rule_playbook``; SOPs, and what holds actions
back, are drawn. Alphabets are small, so that everything meets.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import strategies as st
from rule_playbook import PLAIN

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec


@dataclass(frozen=True)
class World:
    """A playbook: what was drawn of it, the whole as YAML has it, and compiled."""

    drawn: dict[str, Any]

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The playbook as YAML has it."""
        return PLAIN | self.drawn

    @cached_property
    def playbook(self) -> Playbook:
        """The playbook as the fold takes it."""
        return compile_playbook(PlaybookSpec.model_validate(self.plain))


ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe")
CHANNELS = ("wecom", "sms")
PURPOSES = ("marketing", "service")
CONSENT = ("opt_out", "opt_out", "opt_in")

CONDITIONS: tuple[dict[str, Any], ...] = (
    {"attribute": {"name": "score", "at_least": 3}},
    {"segment": ["general_develop", "important_develop", "general_value", "important_value"]},
    {"attribute": {"name": "score", "exists": False}},
    {"stage": {"machine": "customer", "is": "new_purchased"}},
    {"friend": "held"},
    {"event": "message_received"},
    {"not": {"stage": {"machine": "aipl", "in": ["purchase", "loyalty"]}}},
    {"tag": "asked"},
    {"stage": {"machine": "tier", "in": ["silver", "gold"]}},
    {"any": [{"tag": "vip"}, {"stage": {"machine": "course", "is": "student"}}]},
)
CLOCKED: tuple[dict[str, Any], ...] = (
    {"not_done": {"event": "page_viewed", "for": "2d"}},
    {"count": {"event": "page_viewed", "within": "1d", "at_least": 2}},
    {"count": {"event": "page_viewed", "within": "6h", "at_most": 0}},
    {"tag": {"name": "intention", "in": ["high", "middle"]}},
    {"stage": {"machine": "engagement", "is": "silent"}},
)
ANY_CONDITION = st.sampled_from((*CONDITIONS, *CLOCKED))
TIMES_OF_DAY = st.sampled_from(("00:00", "01:45", "02:15", "02:30", "09:00", "12:00", "22:00"))
QUIET_HOURS = (("00:30", "02:30"), ("22:00", "08:00"), ("02:15", "01:45"), ("12:00", "13:00"))


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
        "needs_confirmation": draw(st.booleans()),
        "params": {"score": "{attribute.score|0}", "asked": "{tag.asked|no}"},
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
            {"after": "30h"},
            {"delay": "45m"},
            {"delay": "2h"},
            {"delay": "7h"},
            {"days": draw(st.integers(0, 2)), "at": draw(TIMES_OF_DAY)},
            {"delay": "1h", "at": draw(TIMES_OF_DAY)},
            {"date": "2026-10-25", "at": draw(TIMES_OF_DAY)},
            {"date": {"attribute": "birthday"}, "at": draw(TIMES_OF_DAY)},
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
                {"event": "page_viewed", "where": {"page": "/course/a"}},
                {"condition": CONDITIONS[0]},
                {"condition": CONDITIONS[1]},
                {"condition": CLOCKED[0]},
                {"condition": CLOCKED[1]},
                {"condition": CLOCKED[3]},
            )
        )
    )
    exits = ("consent_withdrawn", "refunded", "friend_removed", "second_order")
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
    match draw(st.integers(0, 9)):
        case 0:
            sop["goal"] = draw(ANY_CONDITION)
        case 1:
            sop["at_any_hour"] = True
        case 2:
            sop["quiet_hours"] = draw(quiet_hours())
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
def quiet_hours(draw: st.DrawFn) -> dict[str, Any]:
    """Draw quiet hours."""
    first, end = draw(st.sampled_from(QUIET_HOURS))
    return {"from": first, "to": end, "then": draw(st.sampled_from(("defer", "drop")))}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw everything in a playbook that holds actions back."""
    return {
        "timezone": draw(st.sampled_from(ZONES)),
        "consent": {purpose: draw(st.sampled_from(CONSENT)) for purpose in PURPOSES},
        "caps": [draw(caps(f"cap-{number}")) for number in range(draw(st.integers(1, 2)))],
        "holdout": {"percent": draw(st.sampled_from((0, 0, 0, 0, 40))), "salt": "salt"},
        **({} if draw(st.booleans()) else {"quiet_hours": draw(quiet_hours())}),
    }


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a playbook."""
    journeys = [draw(sops(f"sop-{number}")) for number in range(draw(st.integers(1, 3)))]
    return World({**draw(rules()), "sops": journeys})
