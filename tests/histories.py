"""Random histories: every kind of event, repeated, late, backfilled, refunded, in two lives.

They lie around the days on which clocks change, with pauses from a millisecond to two days.
``run`` is what becomes of them in a world.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from typing import Any

from hypothesis import strategies as st
from journeys_people import DAY, HOUR, MINUTE, when
from msgspec.structs import replace
from rule_strategies import PAYLOADS
from strategies import Log
from worlds import CHANNELS, PURPOSES, ZONES, World

from processors.partition import Effects, Partition
from processors.playbook import Playbook
from schemas.profile import Profile, decode, encode
from schemas.records import Action, Fact, Touchpoint

Run = tuple[dict[str, Profile], list[Fact], list[Action]]
LATENESS = 7 * DAY
SPAN = 20 * DAY
"""How long the clock runs on after the last record."""
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
_KINDS = st.sampled_from((*sorted(_EVERY), *_OFTEN))
_DELAYS = st.sampled_from((0, 0, 0, 0, 0, 2 * HOUR, 30 * HOUR, 9 * DAY))
_UNDOING = st.sampled_from(
    ("order_paid", "order_refunded", "consent_changed", "friend_removed", "message_received")
)


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
        turn = draw(st.integers(0, 9)) if log else 9
        if turn == 0:
            touchpoint = draw(st.sampled_from(log))[0]
        else:
            kind, occurred_at = draw(_KINDS), clock + number - draw(_DELAYS)
            user, staff, channel, backfill = draw(_MANNERS)
            if turn < 3:
                # A word that comes late: it takes back what has gone on since some event.
                kind, back = draw(_UNDOING), draw(st.integers(1, min(len(log), 8)))
                earlier, came = log[-back]
                user = earlier.user_id
                occurred_at = min(clock + number, came + 1_000 + 100 * number)
            payload = draw(_EVERY[kind])
            if number == 0 and days is not None:
                kind, payload = "attribute_set", born(clock + days * DAY)
            touchpoint = Touchpoint(
                f"e{number}",
                user,
                occurred_at,
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


def restarted(partition: Partition, playbook: Playbook) -> Partition:
    """Return a partition that was stopped and goes on, maybe under another playbook."""
    kept = {user: decode(encode(profile)) for user, profile in partition.profiles.items()}
    again = Partition(playbook, kept)
    again.clock = partition.clock
    return again


def run(world: World, log: Log, seen: Callable[[Playbook], Playbook] = lambda each: each) -> Run:
    """Apply the log, each part at once under its playbook, and let the clock run on.

    Args:
        world: The playbooks.
        log: The log.
        seen: Turns each playbook into the one to run.
    """
    eras = [(seen(playbook), part) for playbook, part in world.eras(log)]
    partition = Partition(eras[0][0], {})
    effects: list[Effects] = []
    for playbook, part in eras:
        if playbook is not partition.playbook:
            partition = restarted(partition, playbook)
        effects.append(partition.apply(part))
    effects.append(partition.advance(log[-1][1] + SPAN))
    facts = [fact for each in effects for fact in each.facts]
    return partition.profiles, facts, [action for each in effects for action in each.actions]
