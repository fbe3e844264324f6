"""The playbook as operators write it: its models, and the reader that names line and cure."""

from schemas.playbook.conditions import ConditionSpec
from schemas.playbook.editor import playbook_json_schema
from schemas.playbook.funnels import FunnelSpec, FunnelStepSpec
from schemas.playbook.points import PointsSpec, TiersSpec
from schemas.playbook.reader import find_playbook, load_playbook
from schemas.playbook.rfm import MeansSpec, RfmSpec
from schemas.playbook.sops import ActionSpec, EnterSpec, SopSpec, StepSpec
from schemas.playbook.stages import AiplSpec, CustomerSpec, MachineSpec, StagesSpec
from schemas.playbook.tags import TagSpec
from schemas.playbook.whole import PlaybookSpec

__all__ = [
    "ActionSpec",
    "AiplSpec",
    "ConditionSpec",
    "CustomerSpec",
    "EnterSpec",
    "FunnelSpec",
    "FunnelStepSpec",
    "MachineSpec",
    "MeansSpec",
    "PlaybookSpec",
    "PointsSpec",
    "RfmSpec",
    "SopSpec",
    "StagesSpec",
    "StepSpec",
    "TagSpec",
    "TiersSpec",
    "find_playbook",
    "load_playbook",
    "playbook_json_schema",
]
