"""Random histories: every kind of event, repeated, late, backfilled, refunded, in two lives.

They lie around the days on which clocks change, with pauses from a millisecond to two days.
"""

from datetime import UTC, datetime
from itertools import product
from typing import Any

from hypothesis import strategies as st
from journeys_people import DAY, HOUR, MINUTE, when
from msgspec.structs import replace
from rule_strategies import PAYLOADS
from strategies import Log
from worlds import CHANNELS, PURPOSES, ZONES

from schemas.records import Touchpoint

LATENESS = 7 * DAY
# A day or so before clocks change: Berlin, New York, Lord Howe, each both ways.
STARTS = tuple(
    when(day)
    for day in (
        "2026-03-28",
        "2026-10-24",
        "2026-03-07",
        "2026-10-31",
        "2026-04-04",
        "2026-10-03",
    )
)
# Days around those changes, the one of leap years, and what is no day.
BIRTHDAYS = ("03-29", "1999-10-25", "2000-11-01", "04-05", "1996-02-29", "02-30", "soon", 7, None)
_EVERY: dict[str, st.SearchStrategy[dict[str, Any]]] = PAYLOADS | {
    "consent_changed": st.fixed_dictionaries(
        {
            "purpose": st.sampled_from(PURPOSES),
            "on_channel": st.sampled_from(("*", *CHANNELS)),
            "granted": st.booleans(),
        }
    ),
    "attribute_set": PAYLOADS["attribute_set"]
    | st.fixed_dictionaries(
        {"name": st.just("timezone"), "value": st.sampled_from((*ZONES, None, "nowhere"))}
    )
    | st.fixed_dictionaries({"name": st.just("score"), "value": st.integers(0, 5) | st.none()})
    | st.fixed_dictionaries({"name": st.just("birthday"), "value": st.sampled_from(BIRTHDAYS)}),
    "referral_made": st.just({"referred_user_id": "cai"}),
    "trial_finished": st.just({"product": "p", "completed_percent": 80}),
    "group_left": st.just({"way": ""}),
    "action_reported": st.just({"action_id": "a", "outcome": "read", "detail": ""}),
}
_OFTEN = (
    "group_joined",
    "page_viewed",
    "page_viewed",
    "order_paid",
    "order_refunded",
    "consent_changed",
    "attribute_set",
)
# One draw for all of it: drawing is what takes the time.
_MANNERS = st.sampled_from(
    tuple(product(("ann", "ann", "bob"), ("li", "wang"), ("wecom", "shop"), (False,) * 9 + (True,)))
)
_KINDS = (*sorted(_EVERY), *_OFTEN)


def born(at: int) -> dict[str, str]:
    """Return what tells a birthday, as the day of an instant."""
    return {"name": "birthday", "value": datetime.fromtimestamp(at / 1000, UTC).date().isoformat()}


@st.composite
def lives(draw: st.DrawFn) -> Log:
    """Draw the log of two people around a change of the clocks; no two events at one time."""
    clock = draw(st.sampled_from(STARTS))
    log: Log = []
    days = draw(st.sampled_from((1, 2, 5, 9, None)))  # to the birthday, if it is told at first
    for number in range(draw(st.integers(10, 30))):
        clock += draw(st.sampled_from((1, 7 * MINUTE, HOUR, 5 * HOUR, 11 * HOUR, 2 * DAY)))
        if log and draw(st.integers(0, 9)) == 0:
            touchpoint = draw(st.sampled_from(log))[0]
        else:
            kind = draw(st.sampled_from(_KINDS))
            payload = draw(_EVERY[kind])
            if number == 0 and days is not None:
                kind, payload = "attribute_set", born(clock + days * DAY)
            delay = draw(st.sampled_from((0, 0, 0, 0, 0, 2 * HOUR, 30 * HOUR, 9 * DAY)))
            user, staff, channel, backfill = draw(_MANNERS)
            touchpoint = Touchpoint(
                f"e{number}",
                user,
                clock - delay + number,
                kind,
                payload,
                backfill=backfill,
                channel=channel,
                staff=staff,
            )
        log.append((touchpoint, clock + number))
    return log


def known(log: Log) -> list[tuple[Touchpoint, int]]:
    """Return the events that count: neither repeated nor late."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for touchpoint, at in log:
        name = (touchpoint.user_id, touchpoint.event_id)
        late = at - touchpoint.occurred_at > LATENESS and not touchpoint.backfill
        if name not in seen and not late:
            seen.add(name)
            kept.append((touchpoint, at))
    return kept


def prolonged(log: Log, times: int) -> Log:
    """Return the log lived again and again, one life after another, each of new events."""
    pace = log[-1][1] - log[0][1] + HOUR
    return [
        (
            replace(
                touchpoint,
                event_id=f"{touchpoint.event_id}-{turn}",
                occurred_at=touchpoint.occurred_at + turn * pace,
            ),
            at + turn * pace,
        )
        for turn in range(times)
        for touchpoint, at in log
    ]
