"""Fill texts of the playbook with values of the profile; nothing in a text is executed."""

from collections.abc import Callable

from processors.checks import text
from processors.conditions import stage_of
from schemas.playbook.texts import Placed, parse_text
from schemas.profile import Profile

Filled = Callable[[Profile], str]


def compile_text(source: str) -> Filled:
    """Turn a text with places into a closure that fills them."""
    parts = parse_text(source)
    if not any(isinstance(part, Placed) for part in parts):
        plain = "".join(str(part) for part in parts)
        return lambda _profile: plain
    return lambda profile: "".join(
        [part if isinstance(part, str) else _value(part, profile) or part.default for part in parts]
    )


def _value(place: Placed, profile: Profile) -> str:
    """Return the value of a place; empty if the profile has none."""
    match place.source:
        case "attribute":
            mark = profile.attributes.get(place.name)
            return text(mark.value) if mark else ""
        case "tag":
            tag = profile.tags.get(place.name)
            return text(tag.value) if tag else ""
        case "stage":
            return stage_of(profile, place.name)
        case "friend":
            return _friend(profile)
        case _:
            return text(getattr(profile, place.source))


def _friend(profile: Profile) -> str:
    """Return the staff member who became the person's friend last, and still is."""
    held = [(mark.at, mark.tie, staff) for staff, mark in profile.friends.items() if mark.value]
    return max(held)[2] if held else ""
