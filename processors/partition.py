"""A partition of the log as a state machine: profiles, the stream clock, and timers as it passes.

The worker runs one for each Kafka partition, a simulation one for the whole file: the same code.
Before a record is folded, its person's timers due at or before the record's time fire; after a
batch, everybody's timers due at or before the clock fire. Log times do not decrease, so for each
person this is the same as firing every timer the moment it is due, however the log is cut.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from sys import maxsize
from typing import Protocol

from processors.aggregates import Aggregates
from processors.draft import Outcome
from processors.due_index import DueIndex, DueTimes
from processors.errors import Rejected, StuckTimerError
from processors.fold import fire, fold
from processors.playbook import Playbook
from processors.timers import Timer, first_timer, may_be_sooner, next_due, timers
from schemas.aggregates import Block, Contribution
from schemas.profile import Profile
from schemas.records import Action, Aggregate, Fact, Progress, Touchpoint


@dataclass(slots=True)
class Counts:
    """What became of the events of a partition; rejected ones are dead letters, not in here."""

    applied: int = 0
    duplicates: int = 0
    late: int = 0
    people: int = 0
    """How many people there are."""


class Profiles(Protocol):
    """Where profiles are kept: a dict, or a store on a disk that looks like one."""

    def get(self, user_id: str, /) -> Profile | None:
        """Return a person's profile, None for a new person."""

    def __getitem__(self, user_id: str, /) -> Profile: ...

    def __setitem__(self, user_id: str, profile: Profile, /) -> None: ...


@dataclass(slots=True)
class Known:
    """What is known of profiles without looking at each of them."""

    counts: Counts
    due: DueTimes


def look_at(profiles: dict[str, Profile], playbook: Playbook) -> Known:
    """Look at each profile: count what they have counted, and note when each has a timer due."""
    counts, index = Counts(people=len(profiles)), DueIndex()
    for user_id, profile in profiles.items():
        counts.applied += profile.applied
        counts.duplicates += profile.duplicates
        counts.late += profile.late
        due = next_due(profile, playbook)
        if due is not None:
            index.enter(user_id, due)
    return Known(counts, index)


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


class Partition:
    """The people of one partition.

    Args:
        playbook: The rules in force.
        profiles: Profiles by user id, as they were left; the partition owns them from now on.
        known: What is known of them. Without it each is looked at, so they must be a dict.
        block: The block in hand of the live aggregates, as it was left; owned from now on, too.

    Attributes:
        profiles: The profiles as they are now.
        clock: Stream clock in milliseconds: the greatest time seen.
        counts: The running account of the profiles.
        funnels: Names of the funnels that it follows, by their definition.
        playbook: The rules in force.
        due: When each person has a timer due, or a little earlier.
        aggregates: The live aggregates.
    """

    def __init__(
        self,
        playbook: Playbook,
        profiles: Profiles,
        known: Known | None = None,
        block: Block | None = None,
    ) -> None:
        if known is None:
            if not isinstance(profiles, dict):
                raise TypeError("say what is known of profiles that are not a dict")
            known = look_at(profiles, playbook)
        self.profiles = profiles
        self.clock = 0
        self.counts = known.counts
        self.due = known.due
        self.playbook = playbook
        self.funnels = {key: each.name for key, each in playbook.funnels.items()}
        self.aggregates = Aggregates(block or Block(), playbook.currency)

    def fire_others(self, batch: Sequence[tuple[Touchpoint, int]], most: int) -> Effects:
        """Fire what is due by the end of a batch for so many people who are not in it.

        The batch applied next does it anyway, for all at once, up to the clock if that is ahead of
        its records. For each of them it is the same now; the clock stays, because after a crash the
        batch may be cut shorter. Where ``most`` people changed there may be more who are due: ask
        again.
        """
        effects = Effects()
        until = max((self.clock, *(at for _, at in batch)))
        self._fire_due(until, most, effects, {touchpoint.user_id for touchpoint, _ in batch})
        return effects

    def apply(
        self,
        batch: Iterable[tuple[Touchpoint, int]],
        *,
        counted: int = 0,
        after: Effects | None = None,
    ) -> Effects:
        """Apply touchpoints, each with the stream time of its record, in the order of the log.

        Args:
            batch: The touchpoints.
            counted: How many of the first ones the block has counted already: a crash has left it
                ahead of their profiles.
            after: What `fire_others` caused last, to be told together with it.
        """
        effects = after or Effects()
        touches: list[Contribution] = []
        playbook, profiles, due, counts = self.playbook, self.profiles, self.due, self.counts
        for index, (touchpoint, at) in enumerate(batch):
            self.clock = max(at, self.clock)
            user_id = touchpoint.user_id
            if due.may_be_due(user_id, at):
                self._fire_until(user_id, at, effects)
            before = profiles.get(user_id)
            try:
                outcome = fold(before or Profile(user_id), touchpoint, at, playbook)
            except Rejected as error:
                effects.rejected.append((index, error.reason, error.detail))
                continue
            if before is None:
                counts.people += 1
            self._count(outcome)
            if outcome.touch is not None and index >= counted:
                touches.append(outcome.touch)
            self._keep(user_id, outcome, effects)
            if before is None or may_be_sooner(before, outcome.profile):
                self._schedule(user_id, outcome.profile)
        self._fire_due(self.clock, maxsize, effects)
        effects.aggregates = self.aggregates.add(touches)
        return effects

    def advance(self, now: int, most: int = maxsize) -> Effects:
        """Move the clock on to ``now``, never back, and fire what is due for so many people.

        Where ``most`` people changed there may be more who are due: ask again.
        """
        effects = Effects()
        self.clock = max(now, self.clock)
        self._fire_due(self.clock, most, effects)
        return effects

    def pending(self) -> int:
        """Return how many people wait for a timer."""
        return len(self.due)

    def _fire_due(
        self, until: int, most: int, effects: Effects, but: Container[str] = frozenset()
    ) -> None:
        """Fire timers due by ``until``, by due time, then by user id, until so many changed.

        Those of the people in ``but`` are left for later.
        """
        left: list[tuple[int, str]] = []
        while len(effects.changed) < most and (entry := self.due.pop(until)) is not None:
            due, user_id = entry
            if user_id in but:
                left.append(entry)
            else:
                self._fire_until(user_id, due, effects)
        for due, user_id in left:
            self.due.enter(user_id, due)

    def _fire_until(self, user_id: str, now: int, effects: Effects) -> None:
        """Fire one person's timers due at or before ``now``, each at its own due time."""
        profile, playbook = self.profiles[user_id], self.playbook
        timer = first_timer(profile, playbook)
        while timer is not None and timer.due <= now:
            outcome = fire(profile, timer, playbook)
            self._keep(user_id, outcome, effects)
            profile, fired = outcome.profile, timer
            timer = first_timer(profile, playbook)
            if timer is not None and timer.due <= fired.due:
                _require_done(fired, profile, playbook, timer.due)
        if timer is not None:
            self.due.enter(user_id, timer.due)

    def _keep(self, user_id: str, outcome: Outcome, effects: Effects) -> None:
        self.profiles[user_id] = effects.changed[user_id] = outcome.profile
        if outcome.facts:
            effects.facts += outcome.facts
            effects.actions += outcome.actions  # each comes with a fact
        for each in outcome.progress:
            effects.progress[each.key] = each

    def _schedule(self, user_id: str, profile: Profile) -> None:
        due = next_due(profile, self.playbook)
        if due is not None:
            self.due.enter(user_id, due)

    def _count(self, outcome: Outcome) -> None:
        match outcome.verdict:
            case "applied":
                self.counts.applied += 1
            case "duplicate":
                self.counts.duplicates += 1
            case "late":
                self.counts.late += 1


def _require_done(fired: Timer, profile: Profile, playbook: Playbook, now: int) -> None:
    """Refuse a timer that is still there, due at or before now, after it has fired.

    Raises:
        StuckTimerError: it is.
    """
    if fired in timers(profile, playbook, now):
        raise StuckTimerError(
            f"the timer {fired.cause_id} of {profile.user_id!r} fired and is still due: whatever "
            "it does must move its own time on"
        )
