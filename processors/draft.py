"""A draft: the next profile in the making, with the facts and actions that come of it."""

from typing import Literal

from processors.identity import fact_frame, fact_id
from processors.playbook import Playbook
from schemas.aggregates import Contribution
from schemas.profile import Profile, copied
from schemas.records import Action, Fact, Progress

Verdict = Literal["applied", "duplicate", "late"]


class Outcome:
    """What one event or timer did.

    Attributes:
        profile: The profile after it.
        facts: What changed or was not done, and why.
        actions: What downstream is asked to do.
        progress: What changed in funnels.
        verdict: Whether an event was applied; a timer always is.
        touch: What it adds to the live aggregates.
    """

    __slots__ = ("actions", "facts", "profile", "progress", "touch", "verdict")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.facts: list[Fact] = []
        self.actions: list[Action] = []
        self.progress: list[Progress] = []
        self.verdict: Verdict = "applied"
        self.touch: Contribution | None = None


class Draft(Outcome):
    """A private copy of a profile that the parts of the fold may write to; closed, the outcome.

    Dicts inside the copy are still shared with the original: replace them, never write to them.

    Args:
        profile: The profile before; it is not changed.
        playbook: The rules in force.
        at: Stream time of the record, or at which the timer was due.
        cause_kind: ``event`` or ``timer``.
        cause_id: The event's id or the timer's name.
        tie: The event's hash as a number: of two events of one time the greater is the later.

    Attributes:
        whole: Whether every rule is judged again, not only those that the event may change.
        changed: What changed of what rules read: ``tag:<name>``, ``stage:<machine>``, ``segment``.
    """

    __slots__ = (
        "_frame",
        "_turn",
        "at",
        "cause_id",
        "cause_kind",
        "changed",
        "playbook",
        "tie",
        "whole",
    )

    def __init__(
        self,
        profile: Profile,
        playbook: Playbook,
        at: int,
        cause_kind: str,
        cause_id: str,
        tie: int = 0,
    ) -> None:
        super().__init__(copied(profile))
        self.playbook = playbook
        self.at = at
        self.cause_kind = cause_kind
        self.cause_id = cause_id
        self.tie = tie
        self.whole = False
        self.changed: set[str] = set()
        self._turn = profile.turn
        self._frame: tuple[str, str] | None = None

    def judge_all(self) -> None:
        """Have every rule judged again, and asked anew when the clock may change it."""
        self.whole = True
        self._turn = None

    def ask_clock(self) -> None:
        """Forget the turn: each rule that the clock may change tells its own anew."""
        self._turn = None

    def look_again(self, due: int | None) -> None:
        """Ask for the timer by which the clock judges its rules; None asks for nothing."""
        if due is not None and (self._turn is None or due < self._turn):
            self._turn = due

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
        user_id, frame = self.profile.user_id, self._frame
        if frame is None:
            frame = self._frame = fact_frame(user_id, self.cause_id, self.at)
        self.facts.append(
            Fact(
                fact_id(frame, kind, subject, new, values.get("entry_key", "")),
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

    def request(self, action: Action, *, rule: str, values: dict[str, str]) -> None:
        """Request an action, and state that it was requested."""
        self.actions.append(action)
        subject = f"{action.sop}/{action.step}"
        self.fact("action_requested", subject, new=action.action_id, rule=rule, values=values)

    def outcome(self, verdict: Verdict, touch: Contribution | None = None) -> Outcome:
        """Close the draft."""
        self.profile.turn = self._turn
        self.verdict, self.touch = verdict, touch
        return self
