"""The playbook as operators write it: its models, and the reader that names line and cure."""

from schemas.playbook.conditions import ConditionSpec
from schemas.playbook.editor import playbook_json_schema
from schemas.playbook.funnels import FunnelSpec
from schemas.playbook.reader import find_playbook, load_playbook
from schemas.playbook.sops import SopSpec
from schemas.playbook.whole import PlaybookSpec

__all__ = [
    "ConditionSpec",
    "FunnelSpec",
    "PlaybookSpec",
    "SopSpec",
    "find_playbook",
    "load_playbook",
    "playbook_json_schema",
]
