"""The fold: the only thing that changes a profile.

``fold`` applies one event, ``fire`` one timer. Both are pure: the same profile, event, time and
playbook give the same outcome in every process and at every replay, and the given profile is left
as it was. Read them from top to bottom; each line is a module of its own.
"""

from processors.corrections import correct, requested_since
from processors.counting import count
from processors.dedupe import remember, seen
from processors.draft import Draft, Outcome
from processors.errors import Rejected
from processors.identity import event_hash
from processors.journeys import follow, take_step
from processors.playbook import Playbook
from processors.rfm import rescore
from processors.settle import settle
from processors.stages import restage, touch
from processors.timers import Timer, TimerKind
from processors.touches import WRITERS
from processors.walks import walk_on
from processors.windows import AHEAD_AT_MOST, HOUR, record
from schemas.profile import Profile, copied
from schemas.records import Touchpoint


def fold(profile: Profile, touchpoint: Touchpoint, at: int, playbook: Playbook) -> Outcome:
    """Apply one event to the profile of its person.

    An event seen before, or one that comes more than ``playbook.lateness`` after it occurred and
    is not backfill, adds to its counter in the profile and changes nothing else. A fact tells of
    the late one.

    Args:
        profile: The profile before; it is not changed.
        touchpoint: The event.
        at: Stream time of its record, in milliseconds.
        playbook: The rules in force.

    Returns:
        The profile after, with the facts and actions that came of it.

    Raises:
        Rejected: the playbook cannot count the event, or it is dated more than a day ahead of the
            log; nothing has changed.
    """
    mark = event_hash(touchpoint.event_id)
    draft = Draft(profile, playbook, at, "event", touchpoint.event_id, int.from_bytes(mark))
    if seen(profile.recent, mark):
        draft.profile.duplicates += 1
        return draft.outcome("duplicate")
    if touchpoint.occurred_at - at > AHEAD_AT_MOST:
        raise _from_the_future(touchpoint, at)
    if at - touchpoint.occurred_at > playbook.lateness and not touchpoint.backfill:
        _count_late(draft, touchpoint)
        return draft.outcome("late")
    after = draft.profile
    after.recent = remember(profile.recent, mark, playbook.dedupe_window)
    after.applied += 1
    write = WRITERS.get(touchpoint.kind)
    if write is not None:
        write(draft, touchpoint)
    touch(draft, touchpoint)
    windows = playbook.windows.get(touchpoint.kind)
    if windows is not None:
        record(after, touchpoint, at, windows)
    if profile.judged != playbook.version or after.first_seen_at != profile.first_seen_at:
        draft.judge_all()
    restage(draft)
    rescore(draft)
    settle(draft, touchpoint)
    walk_on(draft, touchpoint)
    correct(draft, profile, touchpoint)
    follow(draft, profile, touchpoint)
    return draft.outcome("applied", count(draft, profile, touchpoint))


def fire(profile: Profile, timer: Timer, playbook: Playbook) -> Outcome:
    """Fire the profile's first timer, at its own due time.

    Args:
        profile: The profile before; it is not changed.
        timer: Its first timer (``processors.timers.timers``).
        playbook: The rules in force.
    """
    due, known = timer.due, profile.judged == playbook.version
    if timer.kind is TimerKind.CONDITION and known:
        turn = playbook.clock(profile, due - 1)
        if turn is None or turn > due:
            return _put_off(profile, turn)
    draft = Draft(profile, playbook, due, "timer", timer.cause_id)
    if timer.kind is TimerKind.STEP:
        take_step(draft, timer.sop)
        return draft.outcome("applied")
    if known:
        draft.ask_clock()
    else:
        draft.judge_all()
    match timer.kind:
        case TimerKind.CUSTOMER:
            restage(draft)
        case TimerKind.RFM:
            rescore(draft)
    settle(draft, None)
    follow(draft, profile, None)
    return draft.outcome("applied")


def _put_off(profile: Profile, turn: int | None) -> Outcome:
    """Return the profile with its true turn: the one that it had was early."""
    after = copied(profile)
    after.turn = turn
    return Outcome(after)


def _from_the_future(touchpoint: Touchpoint, at: int) -> Rejected:
    hours = (touchpoint.occurred_at - at) // HOUR
    return Rejected(
        "occurred_in_future",
        f"occurred_at {touchpoint.occurred_at} is {hours} hours after the log took the event; up "
        f"to {AHEAD_AT_MOST // HOUR} are put down to clocks: publish when it happened, in "
        "milliseconds since 1970 UTC",
    )


def _count_late(draft: Draft, touchpoint: Touchpoint) -> None:
    profile, playbook = draft.profile, draft.playbook
    profile.late += 1
    draft.fact(
        "event_late",
        touchpoint.kind,
        new=str(profile.late),  # a repeat of a late event is late again: each its own fact
        rule="lateness",
        values={
            "occurred_at": str(touchpoint.occurred_at),
            "appended_at": str(draft.at),
            "lateness": str(playbook.lateness),
            "steps_since": str(requested_since(profile, touchpoint.occurred_at)),
        },
    )
