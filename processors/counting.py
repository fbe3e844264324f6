"""Which windows and values a touch counts for, and whether its person is new to them.

A *touch* is an applied event that is no backfill and that no system wrote about the person. It
counts in the minute of stream time in which the log took it (operations want what happens now) and
in the day of business time on which it occurred (analysts want the day's business), in the
playbook's time zone, with its channel and campaign and with the stage and the segment after it.

People are counted once for each window and value. Who was counted where is in the profile, so that
a partition need not keep sets of people: the last minute, since log time does not go back, and the
days within lateness. Both are bounded: a person counts in at most ``VALUES_AT_MOST`` channels and
campaigns of a window, and on days at most ``DAYS_AT_MOST`` back; touches beyond that are touches
all the same.
"""

from processors.draft import Draft
from schemas.aggregates import Contribution
from schemas.profile import Counted, Profile
from schemas.records import NOT_TOUCHES, Touchpoint
from schemas.segments import AIPL, SEGMENTS

MINUTE, DAY = 60_000, 86_400_000
VALUES_AT_MOST = 8
DAYS_AT_MOST = 31
LONGEST_VALUE = 64
"""Characters: a longer channel or campaign counts as ``TOO_LONG``, which bounds a profile."""
TOO_LONG = "(too long)"

_STAGE = {name: 1 << rank for rank, name in enumerate(AIPL)}
_SEGMENT = {name: 1 << n for n, name in enumerate(("", *(each.name for each in SEGMENTS.values())))}
_CHANNEL, _CAMPAIGN, _IN_STAGE, _IN_SEGMENT = 2, 4, 8, 16
_EVERY = 31
_NOT_TOUCHES = frozenset(NOT_TOUCHES)
_DAYS = DAYS_AT_MOST * DAY
_KNOWN = Counted(0, (), (), 0, 0)

_Here = tuple[str, str, int, int]
"""The channel and the campaign of a touch, and the bits of the stage and the segment after it."""


def count(draft: Draft, before: Profile, touchpoint: Touchpoint) -> Contribution | None:
    """Count an applied event; None where it is no touch. The draft remembers what it counted in."""
    profile, known = draft.profile, before.minute
    if touchpoint.kind in _NOT_TOUCHES:
        return None
    if touchpoint.backfill:
        if known is None:
            profile.minute = _KNOWN
        return None
    at, channel, campaign = draft.at, touchpoint.channel, touchpoint.campaign
    if len(channel) + len(campaign) > LONGEST_VALUE:
        channel, campaign = _bounded(channel), _bounded(campaign)
    aipl, segment = profile.aipl, profile.segment
    here = channel, campaign, _STAGE[aipl], _SEGMENT[segment]
    minute = at // MINUTE
    if known is None or known.start < minute:
        profile.minute = _counted(minute, here)
        in_minute = _EVERY
    else:
        minute = known.start  # a clock that was set back does not bring a minute back
        in_minute = 0
        joined = _joined(known, here)
        if joined is not None:
            in_minute, profile.minute = joined
    occurred_at = min(touchpoint.occurred_at, at)  # nothing occurs after the log has it
    day, _ = draft.playbook.calendar.day(occurred_at)
    in_day = 0
    if at - occurred_at <= _DAYS:
        in_day = _count_day(draft, day // MINUTE, here)
    place = in_minute, channel, campaign, aipl, segment
    return Contribution(
        minute * MINUTE,
        place,
        day,
        place if in_day == in_minute else (in_day, channel, campaign, aipl, segment),
        1 if known is None else 0,
        profile.frequency - before.frequency,
        profile.monetary_minor - before.monetary_minor,
    )


def days_kept(lateness: int) -> int:
    """Return how many days a profile remembers at most: a day may begin anywhere in lateness."""
    return min(lateness, _DAYS) // DAY + 2


def _bounded(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else TOO_LONG


def _count_day(draft: Draft, start: int, here: _Here) -> int:
    """Remember that the person was counted on a day; return where the person is new to it."""
    days = draft.profile.days
    for place in range(len(days) - 1, -1, -1):
        if days[place].start == start:
            joined = _joined(days[place], here)
            if joined is None:
                return 0
            draft.profile.days = (*days[:place], joined[1], *days[place + 1 :])
            return joined[0]
    added = _counted(start, here)
    if not days:
        draft.profile.days = (added,)
        return _EVERY
    reach = min(draft.playbook.lateness, _DAYS)
    oldest = draft.playbook.calendar.day(max(draft.at - reach, 0))[0] // MINUTE
    draft.profile.days = (*[day for day in days if day.start >= oldest], added)
    return _EVERY


def _counted(start: int, here: _Here) -> Counted:
    channel, campaign, stage, segment = here
    return Counted(start, (channel,), (campaign,), stage, segment)


def _joined(known: Counted, here: _Here) -> tuple[int, Counted] | None:
    """Return the bits of the values that are new to a window, and what is known with them in."""
    channel, campaign, stage, segment = here
    fresh, channels, campaigns = 0, known.channels, known.campaigns
    if channel not in channels and len(channels) < VALUES_AT_MOST:
        fresh, channels = _CHANNEL, (*channels, channel)
    if campaign not in campaigns and len(campaigns) < VALUES_AT_MOST:
        fresh, campaigns = fresh | _CAMPAIGN, (*campaigns, campaign)
    if not known.stages & stage:
        fresh |= _IN_STAGE
    if not known.segments & segment:
        fresh |= _IN_SEGMENT
    if not fresh:
        return None
    stages, segments = known.stages | stage, known.segments | segment
    return fresh, Counted(known.start, channels, campaigns, stages, segments)
