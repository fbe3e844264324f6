"""How large the journeys of a profile can get under a playbook, whatever happens to the person.

As in ``processors.bounds``: bytes of the changelog, with every text as long as it may be. Journeys
of SOPs that the playbook has no longer come on top; each is as large as one of those here.
"""

from processors.journeys_act import SENDER_AT_MOST
from processors.limits import LEDGER_AT_MOST
from processors.playbook import Playbook

_NUMBER = 9
_NAME = 64 + 2  # names of the playbook are ASCII
_ID = 4 * 256 + 3
_WORD = 4 * 64 + 3
_SENT = _NUMBER + _NAME + _WORD + 4 * SENDER_AT_MOST + 3
_JOURNEY = 2 * _NAME + _ID + 6 * _NUMBER + _NAME


def journeys_bound(playbook: Playbook) -> int:
    """Return the most bytes that journeys, the ledger and what holds take together."""
    journeys = 0
    for sop in playbook.sops.values():
        steps = max(len(body.steps) for body in sop.bodies.values())
        journeys += _JOURNEY + steps * (_NAME + _NUMBER)
    ledger = LEDGER_AT_MOST * _SENT if playbook.outreach.caps else 0
    return journeys + ledger + len(playbook.edges) * _NAME
