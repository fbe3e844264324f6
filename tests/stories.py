"""A shipped playbook and its demo events: what each person got, and what stopped the rest."""

from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from processors.conditions import stage_of
from processors.partition import Partition
from processors.playbook import compile_playbook
from processors.zones import local
from schemas.jsonlines import parse_time
from schemas.playbook import find_playbook
from schemas.records import Action, Fact
from streams.cli.history import read_events

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SHANGHAI = "Asia/Shanghai"


class Story:
    """The demo events of a playbook up to a time, folded as ``touchline simulate`` does.

    Args:
        playbook: A shipped playbook; its events are in ``examples/``.
        until: Local time in Shanghai up to which the clock runs, such as ``2025-09-10 12:00``.
    """

    def __init__(self, playbook: str, until: str) -> None:
        end = parse_time(f"{until.replace(' ', 'T')}+08:00")
        events = [each for each in read_events(EXAMPLES / f"{playbook}.jsonl") if each[1] <= end]
        line = Partition(compile_playbook(find_playbook(playbook)), {})
        told = [line.apply(events), line.advance(end)]
        self.counts = line.counts
        self.facts: list[Fact] = [fact for effects in told for fact in effects.facts]
        self.actions: list[Action] = [action for effects in told for action in effects.actions]
        self._profiles = line.profiles

    def got(self, user: str, zone: str = SHANGHAI) -> list[str]:
        """Return when the person got which template: ``09-10 10:00 trial_invitation``."""
        return [f"{clock(a.requested_at, zone)} {a.template}" for a in self.sent(user)]

    def sent(self, user: str, template: str = "") -> list[Action]:
        """Return the actions requested for the person, of this template if one is given."""
        return [a for a in self.actions if a.user_id == user and template in {"", a.template}]

    def stopped(self, user: str) -> list[str]:
        """Return what was held back and why: ``09-12 10:00 trial-invitation/remind: consent``."""
        kinds = {"action_suppressed", "action_deferred", "step_skipped"}
        return [
            f"{clock(fact.at)} {fact.subject}: {fact.new}"
            for fact in self.facts
            if fact.user_id == user and fact.kind in kinds
        ]

    def left(self, user: str) -> dict[str, str]:
        """Return why the person's journeys ended, by SOP: the last one of each."""
        ended = [f for f in self.facts if f.user_id == user and f.kind == "journey_exited"]
        return {fact.subject: fact.new for fact in ended}

    def fact(self, user: str, kind: str, subject: str) -> Fact:
        """Return the one fact of this kind on this subject."""
        (found,) = (
            fact
            for fact in self.facts
            if (fact.user_id, fact.kind, fact.subject) == (user, kind, subject)
        )
        return found

    def history(self, user: str, *subjects: str) -> list[str]:
        """Return what these stages, segments or tags became, one after the other."""
        kinds = {"stage_changed", "segment_changed", "tier_changed", "tag_added"}
        return [
            fact.new
            for fact in self.facts
            if fact.user_id == user and fact.kind in kinds and fact.subject in subjects
        ]

    def tags(self, user: str) -> dict[str, Any]:
        """Return the person's tags with their values."""
        return {name: tag.value for name, tag in self._profiles[user].tags.items()}

    def stage(self, user: str, machine: str) -> str:
        """Return the state of one of the person's stage machines."""
        return stage_of(self._profiles[user], machine)

    def segment(self, user: str) -> str:
        """Return the person's RFM segment."""
        return self._profiles[user].segment

    def points(self, user: str) -> int:
        """Return the person's points."""
        return self._profiles[user].points


@cache
def tell(playbook: str, until: str) -> Story:
    """Return the story, folded once."""
    return Story(playbook, until)


def clock(milliseconds: int, zone: str = SHANGHAI) -> str:
    """Return the wall clock: ``09-10 10:00``."""
    return f"{local(milliseconds, ZoneInfo(zone)):%m-%d %H:%M}"
