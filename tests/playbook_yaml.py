"""Playbooks for tests: the shipped one, one whose clocks run in hours, one with what may be wrong.

``GOOD`` has most keys; ``BROKEN`` has the mistakes that can be made in it.
"""

from pathlib import Path

import yaml

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec, find_playbook

SHIPPED = compile_playbook(find_playbook("second-purchase"))
_TABLE = yaml.safe_load(Path(__file__).with_name("broken_playbooks.yaml").read_text("utf-8"))
GOOD: str = _TABLE["good"]
BROKEN: dict[str, dict[str, str]] = {each["what"]: each for each in _TABLE["broken"]}


def written(folder: Path, text: str) -> Path:
    """Write a playbook and return its path."""
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def brisk(**changes: object) -> Playbook:
    """Return a playbook with everything due within days, so that short logs meet every timer."""
    message = {"family": "message", "template": "hello"}
    fields: dict[str, object] = {
        "name": "brisk",
        "version": 3,
        "currency": "USD",
        "rfm": {"recency_days": 2, "frequency": 2, "monetary_minor": 5000},
        "stages": {"customer": {"new_for": "3d"}},
        "sops": [
            {
                "name": "welcome",
                "version": 2,
                "enter": {"event": "order_paid", "when": "first_order"},
                "steps": [
                    {"name": "thanks", "after": "0s", "action": message},
                    {"name": "reminder", "after": "30h", "action": message},
                    {"name": "last-call", "after": "60h", "action": message},
                ],
                "exit_on": ["second_order", "no_order"],
                "entry_age": "4d",
            },
            {
                "name": "group-guide",
                "version": 1,
                "enter": {"event": "group_joined"},
                "steps": [{"name": "guide", "after": "30h", "action": message}],
            },
        ],
    }
    return compile_playbook(PlaybookSpec.model_validate(fields | changes))
