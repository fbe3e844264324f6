"""A partition of the log as a state machine: profiles, the stream clock, and timers as it passes.

The worker runs one for each Kafka partition, a simulation one for the whole file: the same code.
Before a record is folded, its person's timers due at or before the record's time fire; after a
batch, everybody's timers due at or before the clock fire. Log times do not decrease, so for each
person this is the same as firing every timer the moment it is due, however the log is cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from processors.draft import Outcome, Rejected
from processors.due_index import DueIndex
from processors.fold import fire, fold
from processors.playbook import Playbook
from processors.timers import next_due, timers
from schemas.profile import Profile
from schemas.records import Action, Aggregate, Fact, Progress, Touchpoint


@dataclass(slots=True)
class Counts:
    """What became of the events of a partition; rejected ones are dead letters, not in here."""

    applied: int = 0
    duplicates: int = 0
    late: int = 0


@dataclass(slots=True)
class Effects:
    """What a batch or a move of the clock caused, in order.

    Attributes:
        facts: What changed, and why.
        actions: What downstream is asked to do.
        changed: The profiles that changed, each as it is now.
        aggregates: Sums of windows that changed, by key, each as it is now.
        progress: Progress of people in funnels that changed, by key, each as it is now.
        rejected: Position in the batch, reason and detail of the events that were not counted.
    """

    facts: list[Fact] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    changed: dict[str, Profile] = field(default_factory=dict)
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    rejected: list[tuple[int, str, str]] = field(default_factory=list)


class StuckTimerError(RuntimeError):
    """A timer that fired and is due again at once: a fault of the program that would never end."""


class Partition:
    """The people of one partition.

    Args:
        playbook: The rules in force.
        profiles: Profiles by user id, as they were left; the partition owns the dict from now on.

    Attributes:
        profiles: The profiles as they are now.
        clock: Stream clock in milliseconds: the greatest time seen.
        counts: The running account of the profiles.
        funnels: Names of the funnels that it follows, by their definition.
    """

    def __init__(self, playbook: Playbook, profiles: dict[str, Profile]) -> None:
        self.profiles = profiles
        self.clock = 0
        self.counts = Counts()
        self.funnels = {key: each.name for key, each in playbook.funnels.items()}
        self._playbook = playbook
        self._due = DueIndex()
        for user_id, profile in profiles.items():
            self.counts.applied += profile.applied
            self.counts.duplicates += profile.duplicates
            self.counts.late += profile.late
            self._schedule(user_id, profile)

    def apply(self, batch: Iterable[tuple[Touchpoint, int]]) -> Effects:
        """Apply touchpoints, each with the stream time of its record, in the order of the log."""
        effects = Effects()
        for index, (touchpoint, at) in enumerate(batch):
            self.clock = max(at, self.clock)
            user_id = touchpoint.user_id
            if self._due.may_be_due(user_id, at):
                self._fire_until(user_id, at, effects)
            profile = self.profiles.get(user_id) or Profile(user_id)
            try:
                outcome = fold(profile, touchpoint, at, self._playbook)
            except Rejected as error:
                effects.rejected.append((index, error.reason, error.detail))
                continue
            self._count(outcome)
            self._keep(user_id, outcome, effects)
            self._schedule(user_id, outcome.profile)
        self._fire_due(effects)
        return effects

    def advance(self, now: int) -> Effects:
        """Move the clock on to ``now``, never back, and fire what is due."""
        effects = Effects()
        self.clock = max(now, self.clock)
        self._fire_due(effects)
        return effects

    def pending(self) -> int:
        """Return how many people wait for a timer."""
        return len(self._due)

    def _fire_due(self, effects: Effects) -> None:
        """Fire everybody's timers up to the clock: by due time, then by user id."""
        while (entry := self._due.pop(self.clock)) is not None:
            due, user_id = entry
            self._fire_until(user_id, due, effects)

    def _fire_until(self, user_id: str, now: int, effects: Effects) -> None:
        """Fire one person's timers due at or before ``now``, each at its own due time."""
        profile = self.profiles[user_id]
        playbook = self._playbook
        due = next_due(profile, playbook)
        while due is not None and due <= now:
            first = timers(profile, playbook, due)[0]
            outcome = fire(profile, first, playbook)
            self._keep(user_id, outcome, effects)
            profile = outcome.profile
            due = next_due(profile, playbook)
            if due is not None and due <= first.due and first in timers(profile, playbook, due):
                raise StuckTimerError(
                    f"the timer {first.cause_id} of {user_id!r} fired and is still due: whatever "
                    "it does must move its own time on"
                )
        if due is not None:
            self._due.enter(user_id, due)

    def _keep(self, user_id: str, outcome: Outcome, effects: Effects) -> None:
        self.profiles[user_id] = effects.changed[user_id] = outcome.profile
        effects.facts += outcome.facts
        effects.actions += outcome.actions
        for each in outcome.progress:
            effects.progress[each.key] = each

    def _schedule(self, user_id: str, profile: Profile) -> None:
        due = next_due(profile, self._playbook)
        if due is not None:
            self._due.enter(user_id, due)

    def _count(self, outcome: Outcome) -> None:
        match outcome.verdict:
            case "applied":
                self.counts.applied += 1
            case "duplicate":
                self.counts.duplicates += 1
            case "late":
                self.counts.late += 1
