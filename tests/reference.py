"""What tags, stages, RFM and points must be: the definitions, over the whole history.

It reads the plain YAML and the set of events, keeps no state and knows nothing of the code under
test. Everything is asked anew each time, in the simplest way that can be written down.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from reference_checks import DAY, grain, listed, matching, passes, span, stamp

from schemas.records import Touchpoint

SEGMENTS = {
    "HHH": "important_value",
    "LHH": "important_keep",
    "HLH": "important_develop",
    "LLH": "important_retain",
    "HHL": "general_value",
    "LHL": "general_keep",
    "HLL": "general_develop",
    "LLL": "general_retain",
}
AIPL = ["", "awareness", "interest", "purchase", "loyalty"]
RANKS = {"page_viewed": 1, "content_shared": 4, "referral_made": 4} | dict.fromkeys(
    (
        "link_scanned",
        "friend_added",
        "group_joined",
        "message_received",
        "activity_attended",
        "trial_started",
        "trial_finished",
    ),
    2,
)


class Reference:
    """What holds at ``now`` for a person of whom these events are known.

    Args:
        playbook: The plain YAML.
        events: The distinct events, in any order.
        now: Stream time.
    """

    def __init__(self, playbook: dict[str, Any], events: list[Touchpoint], now: int) -> None:
        self.playbook, self.events, self.now = playbook, events, now
        self.rules = {tag["name"]: tag for tag in playbook["tags"]}

    def shown(self) -> dict[str, Any]:
        """Return everything that the fold must agree with."""
        tags = {name: self.tag(name) for name in self.rules}
        machines = [each["name"] for each in self.playbook["stages"]["machines"]]
        names = ["engagement", "tier", *machines]
        return {
            "tags": {name: value for name, value in tags.items() if value is not None},
            "machines": {name: self.stage(name) for name in names},
            "segment": self.segment,
            "aipl": self.stage("aipl"),
            "customer": self.stage("customer"),
            "points": sum(points for _, points in self.earned),
        }

    # Orders, RFM and points.

    @cached_property
    def orders(self) -> list[tuple[int, int]]:
        """Time of first payment and money of each order that counts."""
        ids = {e.payload["order_id"] for e in self.events if e.kind.startswith("order_")}
        counted = []
        for order in ids:
            mine = [e for e in self.events if e.payload.get("order_id") == order]
            paid = [e for e in mine if e.kind == "order_paid"]
            total = sum(e.payload["amount_minor"] for e in paid)
            back = sum(e.payload["amount_minor"] for e in mine) - total
            if paid and total >= 1 and (not back or back < total):
                counted.append((min(e.occurred_at for e in paid), total - back))
        return counted

    @cached_property
    def segment(self) -> str:
        """The RFM segment."""
        if not self.orders:
            return ""
        cuts = self.playbook["rfm"]
        letters = (
            self.now - max(at for at, _ in self.orders) <= cuts["recency_days"] * DAY,
            len(self.orders) >= cuts["frequency"],
            sum(money for _, money in self.orders) >= cuts["monetary_minor"],
        )
        return SEGMENTS["".join("H" if letter else "L" for letter in letters)]

    @cached_property
    def earned(self) -> list[tuple[int, int]]:
        """Time and points of each thing that earns them."""
        rules = self.playbook["points"]
        per = rules["orders"]
        found = [
            (at, per["each"] + money // per["every_minor"] * per["points"])
            for at, money in self.orders
        ]
        for rule in rules["events"]:
            found += [(e.occurred_at, rule["points"]) for e in matching(rule, self.events)]
        return found

    def tier(self) -> str:
        """Return the tier: the best of the present bucket and those of the grace before it."""
        rules = self.playbook["tiers"]
        size = grain(span(rules["within"]))
        reach, grace = (-(-span(rules[key]) // size) for key in ("within", "keep_for"))
        present = self.now // size
        best = 0
        for place in range(present - grace, present + 1):
            points = 0
            for at, amount in self.earned:
                ahead = place == present and at // size > place
                if place - reach <= at // size <= place or ahead:
                    points += amount
            best = max(best, points) if place > present - grace else points
        return [level["name"] for level in rules["levels"] if best >= level["from"]][-1]

    # Stages.

    def stage(self, machine: str) -> str:
        """Return the state of a machine."""
        match machine:
            case "aipl":
                return self.aipl()
            case "customer":
                return self.customer()
            case "engagement":
                return self.engagement()
            case "tier":
                return self.tier()
        (spec,) = (m for m in self.playbook["stages"]["machines"] if m["name"] == machine)
        states = spec["states"]
        return [s["name"] for s in states if "when" not in s or self.holds(s["when"])][-1]

    def aipl(self) -> str:
        """Return the AIPL stage."""
        rank = min(len(self.orders), 2) + 2 if self.orders else 0
        for event in self.events:
            harmful = event.kind == "content_shared" and not event.payload["positive"]
            rank = max(rank, 2 if harmful else RANKS.get(event.kind, 0))
        return AIPL[rank]

    def customer(self) -> str:
        """Return whether the person is a new or an old customer."""
        if not self.orders:
            return "new_not_purchased"
        if self.now - self.first_seen <= span(self.playbook["stages"]["customer"]["new_for"]):
            return "new_purchased"
        return "old_repeat" if len(self.orders) > 1 else "old_purchased"

    def engagement(self) -> str:
        """Return whether the person is active, silent or lost."""
        rules = self.playbook["stages"]["engagement"]
        pause = self.now - self.last({"event": rules["active"]})
        if self.friend == "lost" or pause > span(rules["lost_after"]):
            return "lost"
        return "silent" if pause > span(rules["silent_after"]) else "active"

    @property
    def first_seen(self) -> int:
        """The time of the earliest event."""
        return min(event.occurred_at for event in self.events)

    @property
    def friend(self) -> str:
        """Whether any relation holds, none is left, or there was none."""
        latest = {
            event.staff: event.kind
            for event in sorted(self.events, key=stamp)
            if event.kind.startswith("friend_")
        }
        return "none" if not latest else "held" if "friend_added" in latest.values() else "lost"

    def last(self, rule: dict[str, Any]) -> int:
        """Return the time of the latest such event, or else of the first event of all."""
        found = matching(rule, self.events)
        return found[-1].occurred_at if found else self.first_seen

    # Conditions.

    def holds(self, condition: dict[str, Any]) -> bool:
        """Tell whether a condition holds; all its keys must."""
        return all(getattr(self, f"ask_{key}")(asked) for key, asked in condition.items())

    def ask_all(self, parts: list[dict[str, Any]]) -> bool:
        """All of them hold."""
        return all(self.holds(part) for part in parts)

    def ask_any(self, parts: list[dict[str, Any]]) -> bool:
        """One of them holds."""
        return any(self.holds(part) for part in parts)

    def ask_not(self, part: dict[str, Any]) -> bool:
        """It does not hold."""
        return not self.holds(part)

    def ask_attribute(self, rule: dict[str, Any]) -> bool:
        """The attribute passes."""
        return passes(self.attribute(rule["name"]), rule)

    def ask_tag(self, rule: Any) -> bool:
        """The person has the tag, and its value passes."""
        check = {"name": rule} if isinstance(rule, str) else rule
        return passes(self.tag(check["name"]), check)

    def ask_stage(self, rule: dict[str, Any]) -> bool:
        """The machine is in one of the states."""
        return self.stage(rule["machine"]) in rule.get("in", [rule.get("is")])

    def ask_segment(self, names: Any) -> bool:
        """The segment is one of these."""
        return self.segment in listed(names)

    def ask_friend(self, wanted: str) -> bool:
        """The relation is as wanted."""
        return self.friend == wanted

    def ask_count(self, rule: dict[str, Any]) -> bool:
        """So many events are young enough."""
        window = span(rule["within"]) if "within" in rule else 10**18
        young = [e for e in matching(rule, self.events) if self.now - e.occurred_at <= window]
        return rule.get("at_least", 0) <= len(young) <= rule.get("at_most", 10**18)

    def ask_sum(self, rule: dict[str, Any]) -> bool:
        """The sum over the buckets that reach into the window is in the range."""
        total = 0
        for event in matching(rule, self.events):
            if "within" in rule:
                window = span(rule["within"])
                end_of_bucket = (event.occurred_at // grain(window) + 1) * grain(window)
                if end_of_bucket <= self.now - window:
                    continue
            total += event.payload[rule["field"]]
        return rule.get("at_least", -(10**18)) <= total <= rule.get("at_most", 10**18)

    def ask_not_done(self, rule: dict[str, Any]) -> bool:
        """It is longer ago than this."""
        return self.now - self.last(rule) > span(rule["for"])

    def ask_sequence(self, rule: dict[str, Any]) -> bool:
        """One came after another, in time, among the latest 16 of each."""
        return any(
            0 < then.occurred_at - first.occurred_at <= span(rule["within"])
            for first in matching(rule["first"], self.events)[-16:]
            for then in matching(rule["then"], self.events)[-16:]
        )

    def attribute(self, name: str) -> Any:
        """Return the attribute's last value."""
        rule = {"event": "attribute_set", "where": {"name": name}}
        found = matching(rule, self.events)
        return found[-1].payload["value"] if found else None

    # Tags.

    def tag(self, name: str) -> Any:
        """Return the tag's value; None if the person does not have it."""
        rule = self.rules[name]
        together = [
            each for each in self.rules.values() if each.get("group", 0) == rule.get("group", 1)
        ]
        if self.is_held(rule):
            given = [(each["name"], self.held(each)) for each in together or [rule]]
            first = next((each for each in given if each[1] is not None), None)
            return first[1] if first and first[0] == name else None
        return self.kept(name, together or [rule])

    @staticmethod
    def is_held(rule: dict[str, Any]) -> bool:
        """Tell whether a tag follows its condition: these rules have `event` at their top."""
        rules = (
            [rule["when"]] if "when" in rule else [each["when"] for each in rule.get("levels", [])]
        )
        by_attribute = "attribute" in rule.get("value", {})
        return all("event" not in each for each in rules) if rules else by_attribute

    def held(self, rule: dict[str, Any]) -> Any:
        """Return the value that a held tag's own rule gives."""
        for level in rule.get("levels", []):
            if self.holds(level["when"]):
                return level["value"]
        if "levels" in rule or ("when" in rule and not self.holds(rule["when"])):
            return None
        return self.attribute(rule["value"]["attribute"]) if "value" in rule else True

    def kept(self, name: str, together: list[dict[str, Any]]) -> Any:
        """Return a kept tag's value, if it was given last of those that exclude each other."""
        gives = []
        for position, rule in enumerate(together):
            said = list(self.said(rule))
            given = [each for each in said if each[2] is not None]
            if given:
                last, _, value = max(given, key=lambda each: (each[0], -each[1]))
                taken = max((each[0] for each in said if each[2] is None), default=(0, b""))
                gives.append((last, -position, rule, value, taken))
        if not gives:
            return None
        (at, tie), _, rule, value, taken = max(gives, key=lambda each: each[:2])
        expired = "ttl" in rule and self.now - at > span(rule["ttl"])
        return None if rule["name"] != name or expired or taken > (at, tie) else value

    def said(self, rule: dict[str, Any]) -> Iterator[tuple[tuple[int, bytes], int, Any]]:
        """Yield stamp, position of the rule and value of each event that speaks of a tag."""
        gives = [(level["when"], level["value"]) for level in rule.get("levels", [])]
        if "when" in rule:
            gives = [(rule["when"], rule.get("value", True))]
        for position, (when, value) in enumerate(gives):
            for event in matching(when, self.events):
                if isinstance(value, dict):
                    name = value["field"]
                    yield (
                        stamp(event),
                        position,
                        event.payload.get(name, getattr(event, name, None)),
                    )
                else:
                    yield stamp(event), position, value
        for event in matching(rule["until"], self.events) if "until" in rule else ():
            yield stamp(event), 99, None
        by_hand = {"event": "attribute_set", "where": {"name": f"tag:{rule['name']}"}}
        for event in matching(by_hand, self.events):
            value = event.payload["value"]
            yield stamp(event), 100, None if value is False else value
