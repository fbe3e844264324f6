"""What each kind of event writes into the profile; stages and segment follow from it."""

from collections.abc import Callable, Mapping

from processors.consents import MARKS_AT_MOST
from processors.draft import Draft
from processors.errors import require_short
from processors.orders import pay, refund
from processors.rules import manual_tag
from schemas.profile import Mark, Scalar
from schemas.records import Touchpoint


def set_consent(draft: Draft, touchpoint: Touchpoint) -> None:
    """Note whether a purpose on a channel is granted."""
    payload = touchpoint.payload
    name = f"{payload['purpose']}/{payload['on_channel']}"
    draft.profile.consents = _written(
        draft, draft.profile.consents, name, payload["granted"], touchpoint
    )


def set_attribute(draft: Draft, touchpoint: Touchpoint) -> None:
    """Note the value of an attribute; null removes it. A tag of the playbook is noted as such."""
    payload = touchpoint.payload
    if manual_tag(touchpoint) in draft.playbook.tags:
        require_short(payload["value"], "the value of a tag")
        return
    draft.profile.attributes = _written(
        draft, draft.profile.attributes, payload["name"], payload["value"], touchpoint
    )


def set_friend(draft: Draft, touchpoint: Touchpoint) -> None:
    """Note whether the person and the staff member are friends."""
    holds = touchpoint.kind == "friend_added"
    draft.profile.friends = _written(
        draft, draft.profile.friends, touchpoint.staff, holds, touchpoint
    )


def report_action(draft: Draft, touchpoint: Touchpoint) -> None:
    """State what became of an action."""
    payload = touchpoint.payload
    draft.fact(
        "action_reported",
        payload["action_id"],
        new=payload["outcome"],
        rule="action_reported",
        values={"detail": payload["detail"], "occurred_at": str(touchpoint.occurred_at)},
    )


WRITERS: Mapping[str, Callable[[Draft, Touchpoint], None]] = {
    "order_paid": pay,
    "order_refunded": refund,
    "consent_changed": set_consent,
    "attribute_set": set_attribute,
    "friend_added": set_friend,
    "friend_removed": set_friend,
    "action_reported": report_action,
}
"""By kind; the other kinds are touches and nothing more."""


def _written(
    draft: Draft, marks: dict[str, Mark], name: str, value: Scalar, touchpoint: Touchpoint
) -> dict[str, Mark]:
    """Return the marks with the value in, if it is the last written, and the oldest one out.

    The stamps of a name only grow, so the latest names are the same in any order of arrival.

    Raises:
        Rejected: a text is too long to keep.
    """
    require_short(name, "a name")
    require_short(value, "a value")
    tie = draft.tie
    known = marks.get(name)
    if known is not None and (known.at, known.tie) >= (touchpoint.occurred_at, tie):
        return marks
    marks = {**marks, name: Mark(touchpoint.occurred_at, tie, value)}
    if len(marks) > MARKS_AT_MOST:
        del marks[min(marks, key=lambda each: (marks[each].at, marks[each].tie, each))]
    return marks
