"""A person's walk through each funnel, kept so that its answer is known after every event.

For each day of entry the answer is the best attempt of that day, and the person's own is the best
of all days. An event can only change the days of the entries whose window it lies in: those are
worked out again from the marks, as far back as an event that is not late can reach. What is older
is settled. Where the memory is too short to be sure (a backfill of long ago, more marks than are
kept), the walk says so, and whoever asks has to look at the events themselves.

With each day goes its span (``processors.spans``).
"""

from bisect import bisect_left
from itertools import pairwise

from processors.draft import Draft
from processors.funnels import LONGEST_DAY, Funnel, Mark
from processors.spans import ALWAYS, Ordered, Span, last_farther, spans_of, standing
from schemas.profile import Walk
from schemas.records import Progress, Touchpoint
from schemas.rules import END_OF_TIME

EVENTS_AT_MOST = 128
"""Events that a walk keeps; of more the oldest go."""
_TIE_BITS = 32
_BEFORE_ALL = Walk()

Days = dict[int, tuple[int, ...]]


def walk_on(draft: Draft, touchpoint: Touchpoint) -> None:
    """Move the person on in every funnel that the event is about."""
    for funnel in draft.playbook.funnels_by_kind.get(touchpoint.kind, ()):
        mask = funnel.mask(touchpoint)
        if mask:
            _walk(draft, funnel, (touchpoint.occurred_at, mask, draft.tie >> _TIE_BITS))


def _walk(draft: Draft, funnel: Funnel, mark: Mark) -> None:
    profile, (at, mask, _) = draft.profile, mark
    walk = profile.walks.get(funnel.definition, _BEFORE_ALL)
    if mask == funnel.enters and not funnel.first and walk.marks and walk.marks[-1][0] < at:
        _enter_again(draft, funnel, walk, mark)
        return
    if funnel.first and walk.entered is not None and at > walk.entered + funnel.window:
        return  # a first entry only ever moves back
    place = bisect_left(walk.marks, (at + 1,))
    if _repeats(walk.marks, place, mark):
        return
    if at - funnel.window - LONGEST_DAY < walk.floor or at < walk.sealed:
        _say(draft, funnel, funnel.calendar.day(at)[0], (), exact=False)
    marks = walk.marks
    if at >= walk.floor:
        marks = (*marks[:place], mark, *marks[place:])
    known = dict(walk.days)
    entered = walk.entered
    if mask & funnel.bits[0] and (entered is None or at < entered):
        entered = at
    if funnel.first:
        found = _of_first_entry(funnel, marks, walk, entered)
    else:
        found = _of_days(funnel, marks, walk.floor, mark, known)
    found = {day: times for day, times in found.items() if times != known.get(day, ())}
    days, best = walk.days, walk.best
    if found:
        now = {day: times for day, times in (known | found).items() if times}
        best = _best_of(known, now, found, best)
        days = tuple(sorted(now.items()))
        _say_days(draft, funnel, walk.days, days, found)
        _announce(draft, funnel, known, now, (walk.best, best), found)
    kept = Walk(walk.floor, walk.sealed, entered, best, marks, days)
    walks = profile.walks
    if walk is _BEFORE_ALL:  # the way of keeping may be another, in a playbook that is the same
        walks = {key: each for key, each in walks.items() if key in draft.playbook.funnels}
    profile.walks = {**walks, funnel.definition: _trimmed(funnel, kept, draft.at)}


def _enter_again(draft: Draft, funnel: Funnel, walk: Walk, mark: Mark) -> None:
    """Add one more entry behind all marks: by far the most frequent event, and the simplest.

    It changes no other day, and its own only if no entry of that day has come farther.
    """
    (at, _, _), days, best = mark, walk.days, walk.best
    day, _ = funnel.calendar.day(at)
    last, times = days[-1] if days else (-1, ())
    if last != day or len(times) == 1:
        after = last_farther(days)
        if last != day and len(times) == 1:
            _say(draft, funnel, last, times, span=(after, day))
        days = (*(days[:-1] if last == day else days), (day, (at,)))
        # The best day is the last one, unless another has come farther than an entry.
        if best is None or (best == last and len(times) == 1):
            best = day
            _say(draft, funnel, 0, (at,), best=True)
        _say(draft, funnel, day, (at,), span=(after, END_OF_TIME))
    entered = at if walk.entered is None else walk.entered
    kept = Walk(walk.floor, walk.sealed, entered, best, (*walk.marks, mark), days)
    walks = draft.profile.walks
    draft.profile.walks = {**walks, funnel.definition: _trimmed(funnel, kept, draft.at)}


def _repeats(marks: tuple[Mark, ...], place: int, mark: Mark) -> bool:
    """Tell whether the very event is there: the profile may no longer know that it was seen."""
    while place and marks[place - 1][0] == mark[0]:
        place -= 1
        if marks[place] == mark:
            return True
    return False


def _of_first_entry(
    funnel: Funnel, marks: tuple[Mark, ...], walk: Walk, entered: int | None
) -> Days:
    """Return the attempt of the one entry, and nothing for the day of the one that was before."""
    found: Days = {}
    if walk.entered is not None and walk.entered != entered:
        found[funnel.calendar.day(walk.entered)[0]] = ()
    if entered is not None and entered >= walk.floor:
        begin, end = funnel.calendar.day(entered)
        place = bisect_left(marks, (entered,))
        while not marks[place][1] & funnel.bits[0]:
            place += 1
        found[begin] = _times(marks, funnel.attempt(marks, begin, end, place))
    return found


def _of_days(funnel: Funnel, marks: tuple[Mark, ...], floor: int, mark: Mark, known: Days) -> Days:
    """Return the best attempt of each day of entry that the event can change, where it is sure."""
    at, mask, _ = mark
    if marks[-1:] == (mark,):
        return _of_days_before(funnel, marks, floor, mark, known)
    found: Days = {}
    reach = 0 if mask == funnel.enters else funnel.window
    begin = end = -1
    for place in range(bisect_left(marks, (at - reach,)), len(marks)):
        entry, bits, _ = marks[place]
        if entry > at:
            break
        if bits & funnel.bits[0] and not begin <= entry < end:
            begin, end = funnel.calendar.day(entry)
            if begin >= floor:
                found[begin] = _times(marks, funnel.attempt(marks, begin, end))
    return found


def _of_days_before(
    funnel: Funnel, marks: tuple[Mark, ...], floor: int, mark: Mark, known: Days
) -> Days:
    """Return the same for an event behind all others: it can only be an attempt's last step."""
    at, mask, _ = mark
    found: Days = {}
    steps = funnel.taken_by[mask]
    today, tomorrow = funnel.calendar.day(at)
    if mask & funnel.bits[0] and today >= floor and len(known.get(today, ())) <= 1:
        found[today] = _times(marks, funnel.attempt(marks, today, tomorrow))
    since = max(floor, at - funnel.window - LONGEST_DAY)
    for day, times in known.items():
        if day < since:
            continue
        reached = len(times)
        grows = reached in steps and at - times[0] <= funnel.window
        if grows and not funnel.excluded:
            # Without exclusions nothing has ended the attempt, and no other has come as far.
            found[day] = (*times, at)
        elif grows or reached - 1 in steps:
            _, end = funnel.calendar.day(day)
            if grows or _entered_again(funnel, marks, times[0], end):
                found[day] = _times(marks, funnel.attempt(marks, day, end))
    return found


def _entered_again(funnel: Funnel, marks: tuple[Mark, ...], entered: int, end: int) -> bool:
    """Tell whether another entry follows on the same day, which may come as far and count.

    Of two at one time it is not known which one counts: the later, if it comes as far.
    """
    first, entries = funnel.bits[0], 0
    for place in range(bisect_left(marks, (entered,)), len(marks)):
        at, bits, _ = marks[place]
        if at >= end:
            break
        if bits & first:
            entries += 1
            if entries > 1:
                return True
    return False


def _times(marks: tuple[Mark, ...], places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([marks[place][0] for place in places])


def _best_of(known: Days, now: Days, found: Days, before: int | None) -> int | None:
    """Return the day with the best attempt; all are compared only if the best has become worse."""
    if before is None or before not in found:
        some = [day for day in (before, *found) if day in now]
    elif before in now and _rank(now[before]) > _rank(known[before]):
        some = [day for day in found if day in now]
    else:
        some = list(now)
    return max(some, key=lambda day: _rank(now[day]), default=None)


def _say_days(draft: Draft, funnel: Funnel, before: Ordered, days: Ordered, found: Days) -> None:
    """Say every day whose answer is another one, or its span."""
    known, spans = spans_of(before), spans_of(days)
    for day, times in found.items():
        _say(draft, funnel, day, times, span=spans.get(day, ALWAYS))
    for day, times in days:
        if day not in found and spans[day] != known[day]:
            _say(draft, funnel, day, times, span=spans[day])


def _announce(
    draft: Draft,
    funnel: Funnel,
    known: Days,
    now: Days,
    bests: tuple[int | None, int | None],
    found: Days,
) -> None:
    """State the best of all days if it is another one, and the step that was newly reached."""
    before, best = bests
    if before != best or best in found:
        _say(draft, funnel, 0, () if best is None else now[best], best=True)
    grown = [times for day, times in found.items() if len(times) > len(known.get(day, ()))]
    farthest = max(grown, key=_rank, default=())
    if len(farthest) > 1:  # an entry says no more than its touch
        draft.fact(
            "funnel_step_reached",
            funnel.name,
            old=funnel.steps[len(farthest) - 2],
            new=funnel.steps[len(farthest) - 1],
            rule=f"funnels.{funnel.name}",
            values={
                "step": str(len(farthest)),
                "entered_at": str(farthest[0]),
                "reached_at": str(farthest[-1]),
            },
        )


def _rank(times: tuple[int, ...]) -> tuple[int, int]:
    return len(times), times[0]


def _say(
    draft: Draft,
    funnel: Funnel,
    day: int,
    times: tuple[int, ...],
    *,
    exact: bool = True,
    best: bool = False,
    span: Span = ALWAYS,
) -> None:
    profile = draft.profile
    draft.progress.append(
        Progress(
            funnel.name,
            funnel.definition,
            profile.user_id,
            day,
            len(times),
            list(times),
            best,
            exact,
            profile.applied,
            *span,
        )
    )


def _trimmed(funnel: Funnel, walk: Walk, now: int) -> Walk:
    """Return the walk without what no event that is not late can change, and bounded."""
    marks, floor, sealed = walk.marks, walk.floor, walk.sealed
    horizon = now - funnel.reach
    if marks and marks[0][0] < horizon:
        floor = max(floor, horizon)
    elif len(marks) <= EVENTS_AT_MOST:
        return walk
    if len(marks) > EVENTS_AT_MOST and not funnel.first:
        marks, sealed = _thinned(funnel, marks, sealed, now - funnel.lateness)
    if len(marks) > EVENTS_AT_MOST:
        # A quarter at once, so that a long history does not pay for this at each event.
        floor = max(floor, marks[-EVENTS_AT_MOST * 3 // 4 - 1][0] + 1)
    if (floor, sealed) == (walk.floor, walk.sealed):
        return walk
    settled = bisect_left(walk.days, (floor,))
    days = (*standing(walk.days[:settled]), *walk.days[settled:])
    return Walk(floor, sealed, walk.entered, walk.best, marks[bisect_left(marks, (floor,)) :], days)


def _thinned(
    funnel: Funnel, marks: tuple[Mark, ...], sealed: int, until: int
) -> tuple[tuple[Mark, ...], int]:
    """Leave out each entry that the next event repeats on the same day, before ``until``.

    Whatever comes later, the second of the two enters as far and later. That is so as long as
    nothing comes between them: from now on no event may, or the walk is not sure any more.
    """
    kept: list[Mark] = []
    begin = end = -1
    for mark, following in pairwise(marks):
        at = mark[0]
        if mark[1] == following[1] == funnel.enters and following[0] < until:
            if not begin <= at < end:
                begin, end = funnel.calendar.day(at)
            if following[0] < end:
                sealed = max(sealed, following[0] + 1)
                continue
        kept.append(mark)
    return (*kept, marks[-1]), sealed
