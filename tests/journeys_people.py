"""A person on a line of their own, for stories about journeys: events in, facts and actions out."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from processors.partition import Effects, Partition
from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec
from schemas.records import Action, Fact, Touchpoint

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

HELLO = {"family": "message", "template": "hello"}
JOIN = {"event": "group_joined"}


def when(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    """Return the instant at which the wall clock of the zone shows this."""
    shown = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(shown.timestamp() * 1000)


def step(name: str, /, action: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """Return a step that sends hello, changed by ``action`` and the keys given."""
    return {"name": name, "action": HELLO | (action or {}), **keys}


def wait(name: str, /, **keys: Any) -> dict[str, Any]:
    """Return a step that waits."""
    return {"name": name, "wait": keys}


def sop(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Return an SOP that a person enters by joining a group."""
    return {"name": "tour", "version": 1, "enter": JOIN, "steps": list(steps)} | keys


def book(*sops: dict[str, Any], **keys: Any) -> Playbook:
    """Return a playbook with these SOPs."""
    rfm = {"recency_days": 30, "frequency": 2, "monetary_minor": 100}
    fields = {"name": "stories", "version": 1, "currency": "CNY", "rfm": rfm, "sops": list(sops)}
    return compile_playbook(PlaybookSpec.model_validate(fields | keys))


class Person:
    """One person alone in a partition.

    Args:
        playbook: The rules.
        at: Stream time at the start.
        user_id: Who it is.
    """

    def __init__(self, playbook: Playbook, at: int, user_id: str = "ann") -> None:
        self.now = at
        self.facts: list[Fact] = []
        self.actions: list[Action] = []
        self.user_id = user_id
        self._line = Partition(playbook, {})
        self._count = 0

    def does(
        self, kind: str, /, *, staff: str = "", ago: int = 0, backfill: bool = False, **payload: Any
    ) -> Effects:
        """Let an event happen now, or ``ago`` and arrive now."""
        self._count += 1
        occurred_at, name = self.now - ago, f"e{self._count}"
        touchpoint = Touchpoint(
            name, self.user_id, occurred_at, kind, payload, backfill=backfill, staff=staff
        )
        return self._keep(self._line.apply([(touchpoint, self.now)]))

    def repeats(self, name: str, kind: str, /, **payload: Any) -> Effects:
        """Let the event of this id arrive again."""
        touchpoint = Touchpoint(name, self.user_id, self.now, kind, payload)
        return self._keep(self._line.apply([(touchpoint, self.now)]))

    def joins(self, **keys: Any) -> Effects:
        """Join a group."""
        return self.does("group_joined", way="", **keys)

    def pays(self, order: str = "o1", amount: int = 500) -> Effects:
        """Pay an order."""
        return self.does("order_paid", order_id=order, amount_minor=amount, currency="CNY")

    def consents(self, granted: bool, purpose: str = "marketing", on: str = "*") -> Effects:
        """Grant or withdraw consent."""
        return self.does("consent_changed", purpose=purpose, on_channel=on, granted=granted)

    def lives_in(self, zone: str) -> Effects:
        """Tell the zone."""
        return self.does("attribute_set", name="timezone", value=zone)

    def waits(self, pause: int) -> Effects:
        """Let time pass."""
        self.now += pause
        return self._keep(self._line.advance(self.now))

    def until(self, at: int) -> Effects:
        """Let time pass up to an instant."""
        return self.waits(at - self.now)

    def under(self, playbook: Playbook) -> "Person":
        """Start the worker again with another playbook."""
        self._line = Partition(playbook, self._line.profiles)
        return self

    @property
    def profile(self) -> Any:
        """The profile as it is now."""
        return self._line.profiles[self.user_id]

    @property
    def steps(self) -> list[str]:
        """The steps requested so far."""
        return [action.step for action in self.actions]

    @property
    def times(self) -> list[int]:
        """When they were requested."""
        return [action.requested_at for action in self.actions]

    def told(self, *kinds: str) -> list[tuple[str, str, str]]:
        """Return kind, subject and new value of the facts of these kinds."""
        return [(f.kind, f.subject, f.new) for f in self.facts if f.kind in kinds]

    def _keep(self, effects: Effects) -> Effects:
        self.facts += effects.facts
        self.actions += effects.actions
        return effects
