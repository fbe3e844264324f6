"""How stories are told: events, timers and facts as lines for people, times in one zone."""

from zoneinfo import ZoneInfo

from processors.checks import text
from processors.zones import local
from schemas.playbook.base import spell_duration
from schemas.records import Fact, Touchpoint

_EARLIEST = 10**11  # milliseconds: March 1973; what is less is a count or an amount


class Teller:
    """Tells events, timers and facts in one time zone.

    Args:
        zone: Of all times that are told.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def clock(self, milliseconds: int) -> str:
        """Return a time: ``2026-05-01 09:30:00+08:00``, or with Z in UTC."""
        shown = local(milliseconds, self._zone).replace(microsecond=0).isoformat(sep=" ")
        return shown.removesuffix("+00:00") + "Z" if shown.endswith("+00:00") else shown

    def headline(self, cause_kind: str, cause_id: str, event: Touchpoint | None) -> str:
        """Return what happened: the event with its fields, or the timer."""
        if event is None:
            return f"{cause_kind} {cause_id.rpartition('@')[0] or cause_id}"
        fields = (f"{name}={text(value)}" for name, value in event.payload.items() if value != "")
        return f"{event.kind} {event.event_id}: {', '.join(fields)}"

    def sentence(self, fact: Fact) -> str:
        """Return what followed, by which rule, and in brackets the values that it saw."""
        new = fact.new or ("none" if fact.kind.endswith("_changed") else "")
        change = " -> ".join(part for part in (fact.old, new) if part)
        said = f"{fact.subject}: {change}" if change else fact.subject
        values = ", ".join(
            f"{name}={self._spell(name, value)}" for name, value in fact.values.items() if value
        )
        return f"{fact.kind.replace('_', ' ')} {said}  by {fact.rule} [{values}]"

    def _spell(self, name: str, value: str) -> str:
        if name == "lateness":
            return spell_duration(int(value))
        # "until", "due_at", "last order_paid", and "a then b": the readings that are times.
        timed = name.endswith("_at") or name == "until"
        timed = timed or name.startswith("last ") or " then " in name
        known = timed and value.isdecimal() and int(value) > _EARLIEST
        return self.clock(int(value)) if known else value
