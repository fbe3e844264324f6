"""Random playbooks: every rule there is, and journeys of all shapes that ask about them.

Tags, stages, RFM, points and tiers are those of ``rule_playbook``; SOPs, and what holds actions
back, are drawn. Half of the worlds change their playbook in the middle of a history: an SOP is kept
for those inside, or migrates them, or lets them go, or is dropped. Alphabets are small, so that
everything meets; ``test_histories_census.py`` counts whether it does.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from hypothesis import strategies as st
from rule_playbook import PLAIN
from strategies import Log

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec


@dataclass(frozen=True)
class World:
    """A playbook, and for some the one before it.

    Attributes:
        drawn: What was drawn of the playbook; in force to the end.
        earlier: The SOPs of the playbook that was in force at first, if there was another.
        change: After how many tenths of a log the playbook changes.
    """

    drawn: dict[str, Any]
    earlier: tuple[dict[str, Any], ...] | None = None
    change: int = 0

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The playbook as YAML has it."""
        return PLAIN | self.drawn

    @cached_property
    def plain_first(self) -> dict[str, Any]:
        """The playbook that was in force at first, as YAML has it."""
        if self.earlier is None:
            return self.plain
        return self.plain | {"version": self.plain["version"] - 1, "sops": self.earlier}

    @cached_property
    def playbook(self) -> Playbook:
        """The playbook as the fold takes it."""
        return compile_playbook(PlaybookSpec.model_validate(self.plain))

    @cached_property
    def first(self) -> Playbook:
        """The playbook that was in force at first, as the fold takes it."""
        if self.earlier is None:
            return self.playbook
        return compile_playbook(PlaybookSpec.model_validate(self.plain_first))

    @cached_property
    def sops(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Every SOP by name and version, as the playbook has it that it comes from."""
        every = (*self.plain_first["sops"], *self.plain["sops"])
        return {(sop["name"], sop["version"]): sop for sop in every}

    def eras(self, log: Log) -> list[tuple[Playbook, Log]]:
        """Return the parts of a log, each with the playbook that was in force."""
        if self.earlier is None:
            return [(self.playbook, log)]
        place = len(log) * self.change // 10
        return [(self.first, log[:place]), (self.playbook, log[place:])]

    def plain_at(self, log: Log, at: int) -> dict[str, Any]:
        """Return the playbook in force at a stream time, as YAML has it."""
        _, before = self.eras(log)[0]
        return self.plain if self.earlier is None or at > before[-1][1] else self.plain_first


ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe")
CHANNELS = ("wecom", "sms")
PURPOSES = ("marketing", "service")
CONSENT = ("opt_out", "opt_out", "opt_out", "opt_in")

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
ANY_GUARD = st.sampled_from(tuple(each for each in (*CONDITIONS, *CLOCKED) if "event" not in each))
TIMES_OF_DAY = ("00:00", "01:45", "02:15", "02:30", "09:00", "12:00", "22:00")
TIMEOUTS = st.sampled_from(("0s", "5h", "2d"))
EVENT_TIMEOUTS = st.sampled_from(("5h", "2d"))
FORMS = st.sampled_from(("wait", "wait, met back", *("open",) * 5, "guarded"))
QUIET_HOURS = (("00:30", "02:30"), ("22:00", "08:00"), ("02:15", "01:45"), ("12:00", "13:00"))
ENTRIES: tuple[dict[str, Any], ...] = (
    {"event": ["group_joined", "order_paid"]},
    {"event": ["group_joined", "order_paid", "message_received"]},
    {"event": ["group_joined", "page_viewed"]},
    {"event": "page_viewed", "where": {"page": "/course/a"}},
    {"condition": CONDITIONS[0]},
    {"condition": CONDITIONS[1]},
    {"condition": CLOCKED[0]},
    {"condition": CLOCKED[1]},
    {"condition": CLOCKED[3]},
)
MANNERS = [
    {"enter": enter, "reentry": reentry, "priority": priority}
    for enter, reentry, priority in product(
        ENTRIES, ("never", "after_exit", "after_exit", {"after": "1d"}), (-1, 0, 1)
    )
]
EVENTFUL = st.sampled_from([manner for manner in MANNERS if "event" in manner["enter"]])
ANY_MANNER = st.sampled_from(MANNERS)
EXITS = ("consent_withdrawn", "refunded", "friend_removed", "second_order")
ENDS = st.sampled_from(
    list(product((1, 2, 3, 4), ((), *((name,) for name in EXITS), EXITS[:3], EXITS[:3], EXITS)))
)
INSIDE = ("version", "steps", "max_visits", "exit_on", "goal", "exit_if")
FATES = ("same", "kept", "kept", "migrated", "migrated", "let go", "dropped")


def action(
    family: str, channel: str, sender: str, purpose: str, expires: str, confirm: str
) -> dict[str, Any]:
    """Return the action of a step."""
    return {
        "family": family,
        "template": "t",
        "channel": channel,
        "sender": sender,
        "purpose": purpose,
        "needs_confirmation": bool(confirm),
        "params": {"score": "{attribute.score|0}", "asked": "{tag.asked|no}"},
        **({"expires_after": expires} if expires else {}),
    }


# One draw for each of these: drawing is what takes the time.
ACTIONS = st.sampled_from(
    [
        action(*drawn)
        for drawn in product(
            ("message", "message", "message", "message", "lead"),
            ("", *CHANNELS),
            ("", "li", "{friend|wang}"),
            ("", "", *PURPOSES),
            ("", "", "3h", "1d"),
            ("", "yes"),
        )
    ]
)
# Seven of each kind, so that each comes as often.
TIMES = st.sampled_from(
    [
        time
        for number, at in enumerate(TIMES_OF_DAY)
        for time in (
            {},
            {"after": "30h"},
            {"delay": "45m"},
            {"delay": "2h"},
            {"delay": "7h"},
            {"days": number % 3, "at": at},
            {"delay": "1h", "at": at},
            {"date": "2026-10-25", "at": at},
            {"date": {"attribute": "birthday"}, "at": at},
        )
    ]
)


@st.composite
def bodies(draw: st.DrawFn, *, lively: bool) -> list[dict[str, Any]]:
    """Draw the steps of an SOP: any step may lead to any, and each is reached."""
    names = [f"s{number}" for number in range(draw(st.integers(3 if lively else 1, 4)))]
    steps = []
    for number, name in enumerate(names):
        following = names[number + 1] if number + 1 < len(names) else "end"
        form = "open" if lively and not number else draw(FORMS)
        if form.startswith("wait"):
            condition = draw(ANY_CONDITION)
            timeout = draw(EVENT_TIMEOUTS if "event" in condition else TIMEOUTS)
            back = draw(st.sampled_from((*names, "end")))
            ways = {"then": following, "else": back}
            if form == "wait, met back":
                ways = {"then": back, "else": following}
            steps.append({"name": name, "wait": {"for": condition, "timeout": timeout, **ways}})
            continue
        step = {"name": name, "action": draw(ACTIONS), **draw(TIMES)}
        if form == "guarded":
            step["only_if"] = draw(ANY_GUARD)
        steps.append(step)
    if "action" in steps[-1] and draw(st.integers(0, 3)) == 0:
        steps[-1]["then"] = names[0]
    return steps


@st.composite
def insides(draw: st.DrawFn, version: int, *, lively: bool = False) -> dict[str, Any]:
    """Draw the part of an SOP that has a version."""
    visits, exits = draw(ENDS)
    body = {
        "version": version,
        "steps": draw(bodies(lively=lively)),
        "max_visits": visits,
        "exit_on": exits,
    }
    match draw(st.integers(0, 9)):
        case 0 | 1:
            body["goal"] = draw(ANY_CONDITION)
        case 2:
            body["exit_if"] = {"moved-on": draw(ANY_CONDITION)}
    return body


@st.composite
def sops(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw an SOP; many of the events open the first one, and it begins with an action."""
    sop = {
        "name": f"sop-{number}",
        **draw(ANY_MANNER if number else EVENTFUL),
        **draw(insides(1, lively=not number)),
    }
    match draw(st.integers(0, 9)):
        case 0:
            sop["at_any_hour"] = True
        case 1 | 2:
            sop["quiet_hours"] = draw(QUIET)
        case 3 | 4 | 5:
            sop["entry_age"] = "20h"
    return sop


@st.composite
def successors(draw: st.DrawFn, sop: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw what the next playbook makes of an SOP; nothing where it drops it."""
    fate = draw(st.sampled_from(FATES))
    if fate in {"same", "dropped"}:
        return [sop] if fate == "same" else []
    inside = {key: sop[key] for key in INSIDE if key in sop}
    new = {key: sop[key] for key in sop if key not in inside} | draw(insides(2))
    names = [step["name"] for step in new["steps"]]
    match fate:
        case "kept":
            new["previous"] = [inside]
        case "migrated":
            ways = {step["name"]: draw(st.sampled_from(names)) for step in sop["steps"]}
            new["migrate"] = {"from": 1, "steps": ways}
    return [new]


CAPS = st.sampled_from(
    [
        {
            "at_most": at_most,
            **window,
            "each": each,
            "channels": channels,
            "families": families,
            "then": then,
        }
        for at_most, window, each, channels, families, then in product(
            (1, 1, 2, 3),
            ({"per": "day"}, {"per": "week"}, {"per": "month"}, {"within": "2d"}, {"within": "5h"}),
            ([], [], ["channel"], ["sender"], ["channel", "sender"]),
            ([], ["wecom"]),
            (["message"], ["message", "lead"]),
            ("drop", "defer"),
        )
    ]
)
QUIET = st.sampled_from(
    [
        {"from": first, "to": end, "then": then}
        for (first, end), then in product(QUIET_HOURS, ("defer", "defer", "drop"))
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw everything in a playbook that holds actions back."""
    return {
        "timezone": draw(st.sampled_from(ZONES)),
        "consent": {purpose: draw(st.sampled_from(CONSENT)) for purpose in PURPOSES},
        "caps": [
            {"name": f"cap-{number}", **draw(CAPS)} for number in range(draw(st.integers(1, 2)))
        ],
        "holdout": {"percent": draw(st.sampled_from((0, 0, 0, 0, 40))), "salt": "salt"},
        **({"quiet_hours": draw(QUIET)} if draw(st.integers(0, 2)) else {}),
    }


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a playbook, or two of which the second takes over."""
    journeys = [draw(sops(number)) for number in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        return World({**draw(rules()), "sops": journeys})
    following = [new for sop in journeys for new in draw(successors(sop))]
    change = draw(st.integers(3, 7))
    return World({**draw(rules()), "sops": following}, tuple(journeys), change)
