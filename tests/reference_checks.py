"""How rules are read: durations, checks of values, and the events that match, as documented."""

from hashlib import blake2b
from typing import Any

from schemas.records import Touchpoint

HOUR, DAY = 3_600_000, 86_400_000
UNITS = {"d": DAY, "h": HOUR, "m": 60_000, "s": 1_000}


def span(text: str) -> int:
    """Return a duration in milliseconds."""
    return int(text[:-1]) * UNITS[text[-1]]


def listed(value: Any) -> list[Any]:
    """Return a list, of a single item too."""
    return value if isinstance(value, list) else [value]


def grain(window: int) -> int:
    """Return the bucket of a window, as documented: hours, days or weeks."""
    return HOUR if window <= 3 * DAY else DAY if window <= 92 * DAY else 7 * DAY


def stamp(event: Touchpoint) -> tuple[int, bytes]:
    """Return what decides which event is the later one."""
    return event.occurred_at, blake2b(event.event_id.encode(), digest_size=8).digest()


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal; true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def passes(value: Any, check: Any) -> bool:
    """Tell whether a value passes a check."""
    if not isinstance(check, dict):
        return same(value, check)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    tests = {
        "equals": lambda wanted: same(value, wanted),
        "not_equals": lambda wanted: not same(value, wanted),
        "in": lambda wanted: any(same(value, each) for each in wanted),
        "at_least": lambda wanted: number and value >= wanted,
        "at_most": lambda wanted: number and value <= wanted,
        "more_than": lambda wanted: number and value > wanted,
        "less_than": lambda wanted: number and value < wanted,
        "starts_with": lambda wanted: isinstance(value, str) and value.startswith(wanted),
        "exists": lambda wanted: (value is not None) == wanted,
    }
    checks = {key: wanted for key, wanted in check.items() if key != "name"}
    return (
        all(tests[key](wanted) for key, wanted in checks.items()) if checks else value is not None
    )


def matching(rule: dict[str, Any], events: list[Touchpoint]) -> list[Touchpoint]:
    """Return the events of the rule's kinds whose fields pass its checks, by time."""
    found = [
        event
        for event in events
        if event.kind in listed(rule["event"])
        and all(
            passes(event.payload.get(name, getattr(event, name, None)), check)
            for name, check in rule.get("where", {}).items()
        )
    ]
    return sorted(found, key=stamp)
