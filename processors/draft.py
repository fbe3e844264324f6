"""A draft: the next profile in the making, with the facts and actions that come of it."""

from copy import copy
from typing import Literal, NamedTuple

from processors.identity import action_id, fact_id
from processors.playbook import Playbook, Sop, Step
from schemas.profile import Journey, Profile
from schemas.records import Action, Fact

Verdict = Literal["applied", "duplicate", "late"]


class Outcome(NamedTuple):
    """What one event or timer did."""

    profile: Profile
    facts: list[Fact]
    actions: list[Action]
    verdict: Verdict


class Rejected(Exception):  # noqa: N818 - a verdict on an event, not a fault of the program
    """An event that the playbook cannot count; it changes nothing and becomes a dead letter.

    Args:
        reason: A short code for machines.
        detail: One sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Draft:
    """A private copy of a profile that the parts of the fold may write to.

    Dicts inside the copy are still shared with the original: replace them, never write to them.

    Args:
        profile: The profile before; it is not changed.
        playbook: The rules in force.
        at: Stream time of the record, or at which the timer was due.
        cause_kind: ``event`` or ``timer``.
        cause_id: The event's id or the timer's name.
    """

    __slots__ = ("actions", "at", "cause_id", "cause_kind", "facts", "playbook", "profile")

    def __init__(
        self, profile: Profile, playbook: Playbook, at: int, cause_kind: str, cause_id: str
    ) -> None:
        self.profile = copy(profile)
        self.playbook = playbook
        self.at = at
        self.cause_kind = cause_kind
        self.cause_id = cause_id
        self.facts: list[Fact] = []
        self.actions: list[Action] = []

    def fact(
        self,
        kind: str,
        subject: str,
        *,
        rule: str,
        values: dict[str, str],
        old: str = "",
        new: str = "",
    ) -> None:
        """State that something changed or was not done, with the values that decided."""
        user_id = self.profile.user_id
        self.facts.append(
            Fact(
                fact_id(user_id, kind, subject, new, cause_id=self.cause_id, at=self.at),
                user_id,
                kind,
                self.at,
                subject,
                old,
                new,
                self.cause_kind,
                self.cause_id,
                rule,
                self.playbook.name,
                self.playbook.version,
                values,
            )
        )

    def request(self, sop: Sop, step: Step, journey: Journey) -> None:
        """Request the action of a step, and state that it was requested."""
        user_id = self.profile.user_id
        action = Action(
            action_id=action_id(user_id, sop.name, journey.version, journey.entry_key, step.name),
            user_id=user_id,
            family=step.family,
            template=step.template,
            sender_role=step.sender_role,
            params=step.params,
            due_at=journey.due,
            playbook=self.playbook.name,
            playbook_version=self.playbook.version,
            sop=sop.name,
            sop_version=journey.version,
            entry_key=journey.entry_key,
            step=step.name,
            cause_kind=self.cause_kind,
            cause_id=self.cause_id,
        )
        self.actions.append(action)
        self.fact(
            "action_requested",
            f"{sop.name}/{step.name}",
            new=action.action_id,
            rule=f"sops.{sop.name}.steps.{step.name}",
            values={
                "entry_key": journey.entry_key,
                "opened_at": str(journey.opened_at),
                "due_at": str(journey.due),
            },
        )

    def outcome(self, verdict: Verdict) -> Outcome:
        """Close the draft."""
        return Outcome(self.profile, self.facts, self.actions, verdict)
