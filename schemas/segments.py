"""The eight RFM segments and the built-in stages, by the names that playbooks and facts use."""

from typing import NamedTuple


class Segment(NamedTuple):
    """One of the eight: its name here, its Chinese name, and the other name in use."""

    name: str
    chinese: str
    also: str = ""


SEGMENTS = {
    "HHH": Segment("important_value", "重要价值", "高价值客户"),
    "LHH": Segment("important_keep", "重要保持", "重要唤回"),
    "HLH": Segment("important_develop", "重要发展", "重要深耕"),
    "LLH": Segment("important_retain", "重要挽留"),
    "HHL": Segment("general_value", "一般价值", "潜力客户"),
    "LHL": Segment("general_keep", "一般保持", "一般维持"),
    "HLL": Segment("general_develop", "一般发展", "新客户"),
    "LLL": Segment("general_retain", "一般挽留", "流失客户"),
}
"""The segments by their letters for R, F and M."""

AIPL = ("", "awareness", "interest", "purchase", "loyalty")
"""AIPL stages by rank; 0 is a person without any touch."""
CUSTOMER = ("new_not_purchased", "new_purchased", "old_purchased", "old_repeat")
ENGAGEMENT = ("active", "silent", "lost")
