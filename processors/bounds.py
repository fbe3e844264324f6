"""How large a profile can get under a playbook, whatever happens to the person.

The bound counts the bytes of the changelog, with every list full and every text as long as a
profile keeps it, at four bytes a character. Real profiles are some hundred bytes.
"""

from processors.consents import MARKS_AT_MOST
from processors.corrections import TAKEN_AT_MOST
from processors.counting import LONGEST_VALUE, VALUES_AT_MOST, days_kept
from processors.errors import TEXT_AT_MOST
from processors.funnels import Funnel
from processors.identity import EVENT_HASH_BYTES
from processors.journeys_act import SENDER_AT_MOST
from processors.limits import LEDGER_AT_MOST
from processors.orders import ORDERS_AT_MOST
from processors.playbook import Playbook
from processors.rules import KeptTags
from processors.walks import EVENTS_AT_MOST
from processors.windows import EVER, FUTURE_BUCKETS, Trail

_NUMBER = 9
_TEXT = 4 * TEXT_AT_MOST + 3
_NAME = 64 + 2  # names of the playbook are ASCII
_PATH = 3 * _NAME  # a rule's path is made of names
_ORDER = _TEXT + 3 * _NUMBER + 2
_MARK = 2 * _TEXT + 2 * _NUMBER + 1
_TAG = _NAME + 2 * _TEXT + _NUMBER + _PATH + 1
_ASSIGNED = _NAME + 4 * _NUMBER + _TEXT + 2 * _PATH + 3
_TAKEN = _NAME + 4 + _NUMBER + 1  # a step's name may have the number of the visit
_JOURNEY = 3 * _NAME + _TEXT + 7 * _NUMBER + TAKEN_AT_MOST * _TAKEN
_SENT = _NUMBER + _NAME + 4 * 64 + 3 + 4 * SENDER_AT_MOST + 3
_COUNTED = 3 * _NUMBER + 3 + 2 * VALUES_AT_MOST * (4 * LONGEST_VALUE + 3)
_SCALARS = 1_000  # counters, names of stages, and the names of the fields


def profile_bound(playbook: Playbook) -> int:
    """Return the most bytes that a profile's row takes, journeys and all.

    Journeys of SOPs that the playbook has no longer come on top, each as large as one of its own.
    """
    kept = sum(len(rule.tags) for rule in playbook.rules if isinstance(rule, KeptTags))
    return (
        _SCALARS
        + _TEXT
        + playbook.dedupe_window * EVENT_HASH_BYTES
        + ORDERS_AT_MOST * _ORDER
        + 3 * MARKS_AT_MOST * _MARK
        + _windows(playbook)
        + (2 + days_kept(playbook.lateness)) * _COUNTED
        + len(playbook.tags) * _TAG
        + kept * _ASSIGNED
        + len(playbook.machines) * 2 * _NAME
        + _journeys(playbook)
        + sum(_walk(funnel) for funnel in playbook.funnels.values())
    )


def _journeys(playbook: Playbook) -> int:
    """Return the most bytes that journeys, the ledger of caps and the edges take together."""
    journeys = 0
    for sop in playbook.sops.values():
        steps = max(len(body.steps) for body in sop.bodies.values())
        journeys += _JOURNEY + steps * (_NAME + _NUMBER)
    ledger = LEDGER_AT_MOST * _SENT if playbook.outreach.caps else 0
    return journeys + ledger + len(playbook.edges) * _NAME


def _walk(funnel: Funnel) -> int:
    day = (1 + len(funnel.steps)) * _NUMBER + 4
    days = 1 if funnel.first else EVENTS_AT_MOST + len(funnel.steps)
    return _NAME + 5 * _NUMBER + EVENTS_AT_MOST * (3 * _NUMBER + 1) + days * day


def _windows(playbook: Playbook) -> int:
    kept = {each.key: each for windows in playbook.windows.values() for each in windows}
    size = 0
    for window in kept.values():
        if isinstance(window, Trail):
            size += _NAME + window.kept * _NUMBER
        else:
            size += _NAME + (window.span // window.grain + FUTURE_BUCKETS) * 2 * _NUMBER
    tiers = playbook.tiers
    if tiers is not None and tiers.grain != EVER:
        size += (tiers.reach + tiers.grace + FUTURE_BUCKETS) * 2 * _NUMBER
    return size
