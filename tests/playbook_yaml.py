"""Small playbooks for tests: the shipped one, and one whose clocks run in hours."""

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import PlaybookSpec, find_playbook

SHIPPED = compile_playbook(find_playbook("second-purchase"))


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
