"""The records of the log, as Python values: the fields are those of the ``.avsc`` of the same name.

All times are integers: milliseconds since 1970 UTC. All money is integer minor units.
"""

from typing import Any

import msgspec

from schemas.rules import END_OF_TIME

NOT_TOUCHES = ("action_reported", "attribute_set")
"""Kinds that systems write about a person; the others are touches between person and company."""


class Touchpoint(msgspec.Struct, frozen=True, gc=False):
    """One touch between the company and a person (``avro/touchpoint.avsc``).

    ``kind`` is the name of the payload's Avro record in snake case (``OrderPaid`` is
    ``order_paid``); ``payload`` holds the fields of that record by name.
    """

    event_id: str
    user_id: str
    occurred_at: int
    kind: str
    payload: dict[str, Any]
    backfill: bool = False
    channel: str = ""
    source: str = ""
    campaign: str = ""
    staff: str = ""
    community: str = ""


class Action(msgspec.Struct, frozen=True, gc=False):
    """An action that the playbook asks for (``avro/action_requested.avsc``)."""

    action_id: str
    user_id: str
    family: str
    template: str
    sender_role: str
    params: dict[str, str]
    due_at: int
    playbook: str
    playbook_version: int
    sop: str
    sop_version: int
    entry_key: str
    step: str
    cause_kind: str
    cause_id: str
    channel: str = ""
    sender: str = ""
    purpose: str = ""
    needs_confirmation: bool = False
    requested_at: int = 0
    expires_at: int = 0


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something that changed, or was not done, and why (``avro/fact.avsc``)."""

    fact_id: str
    user_id: str
    kind: str
    at: int
    subject: str
    old: str
    new: str
    cause_kind: str
    cause_id: str
    rule: str
    playbook: str
    playbook_version: int
    values: dict[str, str]


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be applied (``avro/dead_letter.avsc``)."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """The sums of one window over one block of a partition (``avro/aggregate_updated.avsc``).

    The lists are columns of one length: an entry is a value of a dimension with its sums.
    """

    block: int
    grain: str
    start: int
    version: int
    currency: str
    dimensions: list[str]
    values: list[str]
    touches: list[int]
    people: list[int]
    new_people: list[int]
    orders: list[int]
    revenue_minor: list[int]

    @property
    def key(self) -> str:
        """The key of its record: a later version of the same sums has the same."""
        return f"{self.grain}/{self.start}/{self.block}"


class Progress(msgspec.Struct, frozen=True, gc=False):
    """How far a person has come in a funnel, by day of entry (``avro/funnel_progressed.avsc``).

    The ``best`` of all days has a record of its own, whose ``day`` is 0.
    A day's attempt is the best of each period that holds the day, begins after ``after`` and ends
    by ``until``: ``after`` is the last earlier day whose attempt came farther, -1 if there is none,
    and ``until`` the next later day whose attempt came as far, ``END_OF_TIME`` if there is none.
    Where it is not ``exact`` it says only that the person's events of this day, and of the days a
    window before it, have to be looked at. Without a person it says from where on the funnel was
    followed in its partition: ``version`` is the offset of the first touch.
    """

    funnel: str
    definition: str
    user_id: str
    day: int
    reached: int
    times: list[int]
    best: bool
    exact: bool
    version: int
    after: int = -1
    until: int = END_OF_TIME

    @property
    def key(self) -> str:
        """The key of its record: a later version of the same progress has the same."""
        kind = "best" if self.best else "exact" if self.exact else "unsure"
        return f"{self.definition}/{self.day}/{kind}/{self.user_id}"
