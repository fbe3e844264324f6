"""Write the page on every key: ``python -m schemas.playbook > docs/playbook-keys.md``.

It is made from the models that check playbooks, so it cannot say anything else than they do.
"""

import sys
from collections.abc import Iterator
from typing import Any

from schemas.playbook.base import DURATION_PATTERN, NAME_PATTERN
from schemas.playbook.editor import playbook_json_schema
from schemas.playbook.whole import CURRENCY_PATTERN
from schemas.rules import REQUIRED, FieldRule, payload_rules
from schemas.segments import SEGMENTS

_HEAD = """\
# Every key of a playbook

Made from the models in `schemas/playbook/` by `python -m schemas.playbook > docs/playbook-keys.md`.
[playbook.md](playbook.md) explains them with examples. A key without a default has to be there.
"""
_EVENTS = """\
## Kinds of events

The fields of each kind's payload, for `where`, `field` and the files of events; made from
[touchpoint.avsc](../schemas/avro/touchpoint.avsc), which says what they mean. `where` knows
`channel`, `source`, `campaign`, `staff` and `community` of every kind as well.
"""
_TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false"}
_PATTERNS = {
    NAME_PATTERN: "name: lower case words joined by hyphens",
    CURRENCY_PATTERN: "three capital letters (ISO 4217)",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": 'time of day: `"09:30"`',
}


def render_keys() -> str:
    """Return the page: a section for each kind of mapping, a row for each key."""
    schema = playbook_json_schema()
    kinds = {"PlaybookSpec": schema, **schema["$defs"]}
    sections = (_section(name, kinds[name]) for name in _reached(kinds))
    return "\n".join([_HEAD, *sections, _events()])


def _events() -> str:
    """Return the table of the kinds of events with the fields of each."""
    rows = [
        f"| `{kind}` | {', '.join(map(_field, rules.fields.values()))} |"
        for kind, rules in payload_rules().items()
    ]
    return "\n".join([_EVENTS, "| kind | fields |", "|---|---|", *rows, ""])


def _field(rule: FieldRule) -> str:
    needed = "" if rule.default is not REQUIRED else ", needed"
    return f"`{rule.name}` ({rule.words}{needed})"


def _reached(kinds: dict[str, Any]) -> list[str]:
    """Return the names of the mappings from the whole down, each once."""
    found = ["PlaybookSpec"]
    for name in found:  # grows while it is walked through
        found += [each for each in dict.fromkeys(_links(kinds[name])) if each not in found]
    return found


def _links(node: Any) -> Iterator[str]:
    """Yield the mappings that a part of the schema refers to."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield _named(node)
        for key, part in node.items():
            if key != "$defs":
                yield from _links(part)
    elif isinstance(node, list):
        for part in node:
            yield from _links(part)


def _section(name: str, kind: dict[str, Any]) -> str:
    lead = kind.get("description", "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    rows = [
        f"| `{key}` | {_takes(part)} | {_default(part, required=key in kind.get('required', ()))} |"
        for key, part in kind["properties"].items()
    ]
    return "\n".join(
        [
            f"## {_title(name)}",
            "",
            lead,
            "",
            "| key | takes | default |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _takes(part: dict[str, Any]) -> str:
    """Say in words what a key takes."""
    if "$ref" in part:
        title = _title(_named(part))
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if "anyOf" in part:
        words = [_takes(each) for each in part["anyOf"] if each.get("type") != "null"]
        return ", or ".join(dict.fromkeys(words))
    if "enum" in part:
        if part["enum"] == list(payload_rules()):
            return "kind of event"
        if part["enum"] == [segment.name for segment in SEGMENTS.values()]:
            return "segment"
        return " or ".join(f"`{each}`" for each in part["enum"])
    return _plain(part)


def _plain(part: dict[str, Any]) -> str:
    """Say what a part takes that is no other mapping, no choice and no alternative."""
    match part["type"]:
        case "array":
            return f"list of {_takes(part['items'])}"
        case "object":
            return _mapping(part)
        case "string":
            return _text(part)
        case list() as several:
            return " or ".join(_TYPES.get(each, "text") for each in several)
        case known:
            return _TYPES[known] + _limits(part)


def _mapping(part: dict[str, Any]) -> str:
    if "properties" in part:
        return "mapping with " + " and ".join(f"`{key}`" for key in part["properties"])
    values = [part.get("additionalProperties"), *part.get("patternProperties", {}).values()]
    return "mapping of names to " + next(_takes(each) for each in values if each)


def _text(part: dict[str, Any]) -> str:
    pattern = part.get("pattern", "")
    if pattern == DURATION_PATTERN:
        return "duration: `30d`"
    return _PATTERNS.get(pattern, "date: `2026-12-18`" if part.get("format") == "date" else "text")


def _limits(part: dict[str, Any]) -> str:
    least, most = part.get("minimum"), part.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    return "" if least is None else f", from {least}"


def _default(part: dict[str, Any], *, required: bool) -> str:
    if required:
        return ""
    value = part.get("default")
    if isinstance(value, dict) and value:
        return "as said there"
    if value in (None, [], {}, ""):
        return "none"
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _named(part: dict[str, Any]) -> str:
    return str(part["$ref"]).rpartition("/")[2]


def _title(name: str) -> str:
    """Return ``Quiet hours`` for ``QuietHoursSpec``."""
    words = "".join(f" {each.lower()}" if each.isupper() else each for each in name)
    return words.removesuffix(" spec").strip().capitalize()


if __name__ == "__main__":
    sys.stdout.write(render_keys())
