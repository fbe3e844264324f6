"""What the fold keeps of a person's way through funnels: enough, bounded, and only where due."""

from dataclasses import replace
from datetime import datetime
from itertools import combinations
from random import Random

import pytest
from funnel_oracle import Event, path
from funnel_worlds import FUNNELS, HOUR, LATENESS, START, ZONE, playbook
from test_funnel_live import RULES

from processors.bounds import profile_bound
from processors.partition import Effects, Partition
from processors.playbook import compile_playbook
from processors.walks import EVENTS_AT_MOST
from schemas.playbook import PlaybookSpec
from schemas.profile import Profile, encode
from schemas.records import Touchpoint
from schemas.rules import END_OF_TIME

DAY = 24 * HOUR
MONTHS = [{**FUNNELS[0], "name": "months", "window": "60d"}]


def touch(number: int, at: int, kind: str = "page_viewed", **payload: object) -> Touchpoint:
    """Return an event of ann."""
    fields = {"page": "x"} if kind == "page_viewed" else {}
    return Touchpoint(f"e{number}", "ann", at, kind, fields | payload)


def folded(spec: PlaybookSpec, *events: Touchpoint) -> tuple[Profile, Effects]:
    """Apply events as they occur; return ann and what it caused."""
    partition = Partition(compile_playbook(spec), {})
    effects = partition.apply((event, event.occurred_at) for event in events)
    return partition.profiles["ann"], effects


def test_three_views_a_day_for_months_are_kept_exactly_in_little_room() -> None:
    """Entries that say the same go first: nobody has to look at this person's raw touches."""
    views = [touch(n, START + n * 8 * HOUR) for n in range(400)]
    order = {"order_id": "o", "amount_minor": 1, "currency": "USD"}
    steps = [
        touch(900, views[-1].occurred_at + 1, "friend_added"),
        touch(901, views[-1].occurred_at + 2, "order_paid", **order),
    ]
    profile, effects = folded(playbook(MONTHS), *views, *steps)
    (walk,) = profile.walks.values()
    assert len(walk.marks) <= EVENTS_AT_MOST
    assert all(row.exact for row in effects.progress.values())
    (best,) = [row for row in effects.progress.values() if row.best]
    last = views[-1].occurred_at
    assert best.times == [last, last + 1, last + 2]


def test_the_worst_of_histories_stays_within_the_bound() -> None:
    """Everything meets steps, in disorder and ahead: the row never exceeds the bound."""
    random, spec = Random(3), playbook()  # noqa: S311 - test data
    compiled = compile_playbook(spec)
    partition = Partition(compiled, {})
    for number in range(3_000):
        at = START + number * HOUR // 3
        kind = random.choice(("page_viewed", "friend_added", "order_paid"))
        payload = {"order_id": f"o{number}", "amount_minor": 150, "currency": "USD"}
        when = at + random.choice((0, -HOUR, -5 * HOUR, HOUR))
        partition.apply([(touch(number, when, kind, **payload), at)])
        if not number % 50:
            assert len(encode(partition.profiles["ann"])) < profile_bound(compiled)
    walks = partition.profiles["ann"].walks.values()
    assert max(len(walk.marks) for walk in walks) > EVENTS_AT_MOST / 2


@pytest.mark.parametrize("number", range(len(FUNNELS)))
def test_each_day_has_the_best_attempt_of_its_entries(number: int) -> None:
    """As events come in order, some at one time, with many entries a day: as plain Python says."""
    random, spec = Random(number), playbook([FUNNELS[number]])  # noqa: S311 - test data
    compiled, rules = compile_playbook(spec), list(RULES.values())[number]
    unit = max(spec.funnels[0].window // 12, HOUR)
    for _ in range(300):
        at, events = START, []
        for n in range(12):
            at += random.choice((0, 1, 1, 2, 3, 5)) * unit
            kind = random.choice(("page_viewed", "friend_added", "order_paid", "group_left"))
            events.append(
                Event(at, 0, n, f"e{n}", kind, "", random.choice((50, 150)), random.choice("xy"))
            )
        partition = Partition(compiled, {})
        rows = partition.apply((record_of(each), each.at) for each in events).progress.values()
        told = {(row.best, row.day): tuple(row.times) for row in rows if row.exact}
        days = {(False, *compiled.calendar.day(each.at)) for each in events}
        for best, since, until in {*days, (True, 0, 10**15)}:
            found = path(events, replace(rules, since=since, until=until))
            assert told.get((best, since), ()) == tuple(each.at for each in found)


@pytest.mark.parametrize("number", range(len(FUNNELS)))
def test_of_the_days_of_any_period_one_tells_that_it_is_the_best(number: int) -> None:
    """However late events come, over more days than are remembered: as plain Python says."""
    random, spec = Random(number), playbook([FUNNELS[number]])  # noqa: S311 - test data
    compiled, rules = compile_playbook(spec), list(RULES.values())[number]
    periods = 0
    for _ in range(60):
        events = history(random)
        partition = Partition(compiled, {})
        arrivals = [(record_of(each), each.at + delay) for delay, each in events]
        told = partition.apply(arrivals).progress.values()
        assert all(row.exact for row in told)
        rows = [row for row in told if row.reached and not row.best]
        days = sorted({compiled.calendar.day(each.at)[0] for _, each in events})
        for since, until in random.choices([*combinations([*days, END_OF_TIME], 2)], k=12):
            best = [
                tuple(row.times)
                for row in rows
                if since <= row.day < until and row.after < since and until <= row.until
            ]
            known = sorted(each for _, each in events)
            found = path(known, replace(rules, since=since, until=until))
            assert best == [tuple(each.at for each in found)] * bool(found)
            periods += len(best)
    assert periods > 100, "the case tests too little"


def history(random: Random) -> list[tuple[int, Event]]:
    """Return events over weeks in the order of their arrival, with the delay of each."""
    at, events = START, []
    for n in range(13):
        at += random.choice((0, 1, 3, 8, 20, 60, 100)) * HOUR
        kind = random.choice(("page_viewed", "friend_added", "order_paid", "group_left"))
        amount, page = random.choice((50, 150)), random.choice("xy")
        delay = random.choice((0, 0, 2, LATENESS)) * HOUR
        events.append((delay, Event(at, 0, 0, f"e{n}", kind, "", amount, page)))
    events.sort(key=lambda each: each[0] + each[1].at)
    return [(delay, each._replace(offset=n)) for n, (delay, each) in enumerate(events)]


def record_of(event: Event) -> Touchpoint:
    """Return the touchpoint of an event of ann."""
    payload = {
        "page_viewed": {"page": event.page},
        "order_paid": {"order_id": event.event_id, "amount_minor": event.amount, "currency": "USD"},
    }
    return Touchpoint(event.event_id, "ann", event.at, event.kind, payload.get(event.kind, {}))


def test_backfill_of_long_ago_is_said_to_be_unsure() -> None:
    """The memory that it would need is gone, and the row that says so stays beside the others."""
    late = Touchpoint("late", "ann", START, "friend_added", {}, backfill=True)
    log = [(touch(n, START + n * DAY), START + n * DAY) for n in range(100)]
    partition = Partition(compile_playbook(playbook(FUNNELS[:1])), {})
    rows = partition.apply([*log, (late, START + 100 * DAY)]).progress.values()
    (unsure,) = [row for row in rows if not row.exact]
    assert (unsure.reached, unsure.times, unsure.best) == (0, [], False)
    assert START - DAY < unsure.day <= START
    assert sum(row.best for row in rows) == 1


def test_a_step_newly_reached_is_a_fact() -> None:
    """From the second step on; a step taken again on the same day is none."""
    events = [
        touch(1, START),
        touch(2, START + HOUR, "friend_added"),
        touch(3, START + 2 * HOUR, "friend_added"),
    ]
    _, effects = folded(playbook(FUNNELS[:1]), *events)
    (fact,) = [fact for fact in effects.facts if fact.kind == "funnel_step_reached"]
    assert (fact.subject, fact.old, fact.new, fact.cause_id) == ("plain", "view", "friend", "e2")
    assert fact.values["reached_at"] == str(START + HOUR)


def test_an_event_of_no_step_leaves_the_walks_as_they_were() -> None:
    """Neither is anything said nor the profile's part written anew."""
    compiled = compile_playbook(playbook(FUNNELS[:1]))
    partition = Partition(compiled, {})
    partition.apply([(touch(1, START), START)])
    before = partition.profiles["ann"].walks
    effects = partition.apply([(touch(2, START + 1, "content_shared"), START + 1)])
    assert partition.profiles["ann"].walks is before
    assert not effects.progress


def test_what_a_new_version_no_longer_counts_is_forgotten() -> None:
    """A changed window is another funnel; the walk through the old one goes."""
    partition = Partition(compile_playbook(playbook(FUNNELS[:1])), {})
    partition.apply([(touch(1, START), START)])
    spec = playbook([{**FUNNELS[0], "window": "21h"}]).model_copy(update={"version": 2})
    after = Partition(compile_playbook(spec), partition.profiles)
    after.apply([(touch(2, START + 1), START + 1)])
    assert after.profiles["ann"].walks.keys() == compile_playbook(spec).funnels.keys()


def test_a_walk_that_is_kept_in_another_way_goes_when_it_begins_anew() -> None:
    """A new version of touchline may keep other walks for the very same playbook."""
    compiled = compile_playbook(playbook(FUNNELS[:1]))
    (definition,) = compiled.funnels
    partition = Partition(compiled, {})
    partition.apply([(touch(1, START), START)])
    ann = partition.profiles["ann"]
    ann.walks = {"before": ann.walks[definition]}
    partition.apply([(touch(2, START + 1), START + 1)])
    assert partition.profiles["ann"].walks.keys() == {definition}


def test_a_definition_is_what_is_counted() -> None:
    """Names change nothing; steps, checks, windows, the zone and the lateness do."""

    def definition(zone: str = "UTC", lateness: int = 0, **changes: object) -> str:
        (funnel,) = playbook([{**FUNNELS[4], **changes}]).funnels
        return funnel.definition(zone, lateness)

    assert definition(name="renamed") == definition()
    others = {
        definition(zone="Asia/Shanghai"),
        definition(lateness=1),
        definition(window="41h"),
        definition(entry="first"),
        definition(exclusions=[]),
        definition(steps=FUNNELS[0]["steps"], exclusions=[]),
        definition(),
    }
    assert len(others) == 7


@pytest.mark.parametrize(("after", "before"), [(2, 2), (3, 2), (1, 5)])
def test_an_exclusion_between_no_two_steps_is_refused(after: int, before: int) -> None:
    """The message says which steps there are."""
    wrong = {"event": "group_left", "after": after, "before": before}
    with pytest.raises(ValueError, match="steps 1 to 3"):
        playbook([{**FUNNELS[0], "exclusions": [wrong]}])


def test_an_event_that_ends_an_attempt_may_take_the_step_again() -> None:
    """None may come between friend and order: the second one is the friend of the attempt."""
    steps = [
        {"name": "view", "event": "page_viewed"},
        {"name": "friend", "event": "friend_added"},
        {"name": "order", "event": "order_paid"},
    ]
    never = {"event": "friend_added", "after": 2, "before": 3}
    funnel = {"name": "again", "window": "1d", "steps": steps, "exclusions": [never]}
    order = {"order_id": "o", "amount_minor": 1, "currency": "USD"}
    _, effects = folded(
        playbook([funnel]),
        touch(1, START),
        touch(2, START + HOUR, "friend_added"),
        touch(3, START + 2 * HOUR, "friend_added"),
        touch(4, START + 3 * HOUR, "order_paid", **order),
    )
    (best,) = [row for row in effects.progress.values() if row.best]
    assert best.times == [START, START + 2 * HOUR, START + 3 * HOUR]


def test_an_event_of_a_day_that_is_known_in_part_is_said_to_be_unsure() -> None:
    """Its window is remembered whole, but not the day of its entry: other entries may be gone."""
    steps = [{"name": "view", "event": "page_viewed"}, {"name": "friend", "event": "friend_added"}]
    window = 2 * HOUR
    spec = playbook([{"name": "short", "window": "2h", "steps": steps}])
    compiled = compile_playbook(spec)
    (funnel,) = compiled.funnels.values()
    midnight, noon = (
        round(datetime(2024, 3, 13, hour, tzinfo=ZONE).timestamp() * 1000) for hour in (0, 12)
    )
    now = noon + funnel.reach  # what came before noon is forgotten then
    partition = Partition(compiled, {})
    for number, at in enumerate((noon - HOUR, noon + HOUR, now)):
        partition.apply([(touch(number, at), at)])
    (walk,) = partition.profiles["ann"].walks.values()
    assert walk.floor == noon
    late = Touchpoint("late", "ann", noon + window + 1, "friend_added", {}, backfill=True)
    rows = partition.apply([(late, now)]).progress.values()
    assert [(row.day, row.exact) for row in rows] == [(midnight, False)]


def test_an_event_between_entries_that_were_left_out_is_said_to_be_unsure() -> None:
    """Of three views of a day one is kept in the end; an answer to another would not find it."""
    partition = Partition(compile_playbook(playbook(MONTHS)), {})
    views = [touch(n, START + n // 3 * DAY + n % 3 * 2 * HOUR) for n in range(EVENTS_AT_MOST + 7)]
    partition.apply((view, view.occurred_at) for view in views)
    (walk,) = partition.profiles["ann"].walks.values()
    assert (len(walk.marks) < EVENTS_AT_MOST // 2, walk.floor) == (True, 0)
    late = Touchpoint("late", "ann", START + HOUR, "friend_added", {}, backfill=True)
    rows = partition.apply([(late, views[-1].occurred_at)]).progress.values()
    assert [row.day <= START < row.day + DAY for row in rows if not row.exact] == [True]
