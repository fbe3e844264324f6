"""What one event does to a profile, and what it must not do."""

from dataclasses import replace
from hashlib import blake2b

from ann import after, event, paid, refunded, told
from hypothesis import given
from playbook_yaml import SHIPPED, brisk
from strategies import DAY, HOUR, START, THOROUGH, Log, logs

from processors.consents import MARKS_AT_MOST
from processors.dedupe import seen
from processors.errors import Rejected
from processors.fold import fire, fold
from processors.partition import Partition
from processors.timers import timers
from schemas.profile import Profile, canonical, decode, encode

BRISK = brisk()


@THOROUGH
@given(log=logs())
def test_fold_and_fire_leave_the_given_profile_as_it_was(log: Log) -> None:
    """The profile before is the same bytes after the fold, whatever the event or timer."""
    profiles: dict[str, Profile] = {}
    for touchpoint, at in log:
        before = profiles.get(touchpoint.user_id, Profile(touchpoint.user_id))
        kept = encode(before)
        try:
            profiles[touchpoint.user_id] = fold(before, touchpoint, at, BRISK).profile
        except Rejected:
            assert encode(before) == kept
        assert encode(before) == kept
        for timer in timers(before, BRISK)[:1]:
            fire(before, timer, BRISK)
            assert encode(before) == kept


@THOROUGH
@given(log=logs())
def test_a_profile_survives_its_bytes(log: Log) -> None:
    """Encoded and decoded, a profile is equal, and so is its canonical line."""
    partition = Partition(BRISK, {})
    partition.apply(log)
    for profile in partition.profiles.values():
        copy = decode(encode(profile))
        assert copy == profile
        assert canonical(copy) == canonical(profile)


def test_the_canonical_line_does_not_know_the_order_of_insertion() -> None:
    """Two profiles with the same entries, put in differently, have the same line."""
    one = after(paid("a", START), paid("b", START, backfill=True))
    other = decode(encode(one))
    other.orders = dict(reversed(one.orders.items()))
    assert list(one.orders) != list(other.orders)
    assert canonical(one) == canonical(other)


def test_a_repeat_counts_and_changes_nothing_else() -> None:
    """The second arrival of an event adds one to the duplicates of the profile."""
    first = after(paid("a", START))
    outcome = fold(first, paid("a", START), START + HOUR, SHIPPED)
    assert (outcome.verdict, outcome.facts, outcome.actions) == ("duplicate", [], [])
    outcome.profile.duplicates -= 1
    assert outcome.profile == first


def test_the_window_of_recent_events_is_bounded() -> None:
    """A repeat is known as long as fewer other events than the window's size came since."""
    playbook = replace(SHIPPED, dedupe_window=2)
    views = [event(f"e{n}", "page_viewed", START) for n in range(3)]
    assert after(views[0], views[1], views[0], playbook=playbook).duplicates == 1
    assert after(views[0], views[1], views[2], views[0], playbook=playbook).duplicates == 0
    assert len(after(*views, playbook=playbook).recent) == 16


def test_a_hash_that_straddles_two_others_is_no_repeat() -> None:
    """Only a whole entry of the window is an event seen before."""
    recent = bytes(range(16))
    assert not seen(recent, recent[4:12])
    assert seen(recent + recent[4:12], recent[4:12])
    assert seen(recent, recent[8:])
    sevens = b"\7" * 8  # found within two entries first, then as the second of them
    assert seen(bytes(4) + b"\7" * 12, sevens)


def test_a_late_event_is_counted_and_told() -> None:
    """One millisecond beyond the lateness an event changes a counter and states a fact."""
    in_time = fold(Profile("ann"), paid("a", START), START + 7 * DAY, SHIPPED)
    assert in_time.verdict == "applied"
    outcome = fold(Profile("ann"), paid("a", START), START + 7 * DAY + 1, SHIPPED)
    assert outcome.verdict == "late"
    assert outcome.profile == Profile("ann", late=1)
    assert told(outcome) == [("event_late", "order_paid", "1")]
    assert outcome.facts[0].cause_id == "paid-a"


def test_history_updates_the_profile_and_opens_no_journey() -> None:
    """A backfilled first order counts, says what it suppressed, and requests nothing, ever."""
    partition = Partition(SHIPPED, {})
    now = START + 400 * DAY
    effects = partition.apply([(paid("a", START, backfill=True), now)])
    assert ("action_suppressed", "second-purchase", "backfill") in told(effects)
    assert partition.profiles["ann"].frequency == 1
    assert partition.advance(now + 400 * DAY).actions == []


def test_an_event_beyond_the_entry_age_opens_no_journey() -> None:
    """An event within the lateness but older than the SOP's entry age is too old to act on."""
    partition = Partition(BRISK, {})
    effects = partition.apply([(paid("a", START), START + 4 * DAY + 1)])
    assert ("action_suppressed", "welcome", "too_old") in told(effects)
    just = fold(Profile("ann"), paid("a", START), START + 4 * DAY, BRISK)
    assert ("journey_entered", "welcome", "thanks") in told(just)
    assert partition.advance(START + 40 * DAY).actions == []


def test_a_second_purchase_cancels_the_reminder() -> None:
    """A second order before the reminder closes the journey and says so."""
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("a", START), START)])
    effects = partition.apply([(paid("b", START + 29 * DAY), START + 29 * DAY)])
    assert ("journey_exited", "second-purchase", "second_order") in told(effects)
    assert partition.advance(START + 99 * DAY).actions == []


def test_a_refund_of_the_only_order_cancels_the_reminder() -> None:
    """Nobody is asked to buy again what they gave back; stages and segment fall back too."""
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("a", START), START)])
    effects = partition.apply([(refunded("a", START + DAY), START + DAY)])
    assert told(effects) == [
        ("stage_changed", "aipl", ""),
        ("stage_changed", "customer", "new_not_purchased"),
        ("segment_changed", "rfm", ""),
        ("journey_exited", "second-purchase", "no_order"),
    ]
    assert partition.advance(START + 99 * DAY).actions == []


def test_a_timer_due_at_the_time_of_a_record_fires_before_it() -> None:
    """A second order at the very instant of the reminder comes after it."""
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("a", START), START)])
    due = START + 30 * DAY
    effects = partition.apply([(paid("b", due), due)])
    (action,) = effects.actions
    assert (action.due_at, action.entry_key, action.step) == (due, "paid-a", "reminder")
    assert action.cause_id == f"second-purchase/reminder@{due}"
    assert told(effects)[0] == ("action_requested", "second-purchase/reminder", action.action_id)


def test_an_earlier_order_that_comes_later_opens_no_second_journey() -> None:
    """Disorder that reveals an earlier first order ends the journey and opens none."""
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("b", START + DAY), START + DAY)])
    effects = partition.apply([(paid("a", START), START + DAY)])
    assert [each for each in told(effects) if each[0].startswith("journey")] == [
        ("journey_exited", "second-purchase", "second_order")
    ]
    assert partition.advance(START + 99 * DAY).actions == []


def test_a_person_who_left_an_sop_is_told_to_have_been_there() -> None:
    """A new first order after a refund does not enter again; the fact says why."""
    partition = Partition(SHIPPED, {})
    events = (paid("a", START), refunded("a", START + 1), paid("b", START + 2))
    effects = partition.apply((each, each.occurred_at) for each in events)
    assert told(effects)[-1] == ("action_suppressed", "second-purchase", "already_entered")


def test_steps_count_from_the_entry_and_a_past_one_fires_at_the_next_move() -> None:
    """Each step is due in business time; what is past at entry fires at its own due time."""
    partition = Partition(BRISK, {})
    partition.apply([(paid("a", START), START + 40 * HOUR)])
    effects = partition.advance(START + 60 * HOUR)
    assert [action.step for action in effects.actions] == ["last-call"]
    early = Partition(BRISK, {}).apply([(paid("a", START), START + 40 * HOUR)])
    assert [(a.step, a.due_at) for a in early.actions] == [
        ("thanks", START),
        ("reminder", START + 30 * HOUR),
    ]


def test_a_journey_whose_sop_is_gone_ends_quietly() -> None:
    """A playbook without the SOP closes its open journeys at their next step, without action."""
    profile = after(paid("a", START))
    partition = Partition(brisk(sops=[]), {"ann": profile})
    effects = partition.advance(START + 30 * DAY)
    assert ("journey_exited", "second-purchase", "sop_removed") in told(effects)
    assert effects.actions == []


def test_attributes_are_bounded_to_the_latest() -> None:
    """Of too many attributes the ones last written stay, in whatever order they came."""
    writes = [
        event(f"e{n}", "attribute_set", START + n, name=f"a{n}", value=n)
        for n in range(MARKS_AT_MOST + 9)
    ]
    want = {f"a{n}" for n in range(9, MARKS_AT_MOST + 9)}
    assert after(*writes).attributes.keys() == want
    assert after(*reversed(writes)).attributes.keys() == want


def test_an_action_reported_back_becomes_a_fact() -> None:
    """The outcome that a downstream service reports is told under the action's id."""
    report = event("r", "action_reported", START, action_id="f00", outcome="read", detail="")
    assert ("action_reported", "f00", "read") in told(fold(Profile("ann"), report, START, SHIPPED))


def test_a_new_customer_grows_old_by_the_clock() -> None:
    """A year after the first event, to the millisecond included, a new customer is an old one."""
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("a", START), START)])
    partition.advance(START + 365 * DAY)
    view = event("v", "page_viewed", START + 365 * DAY, page="/", category="", duration_ms=0)
    partition.apply([(view, START + 365 * DAY)])
    assert partition.profiles["ann"].customer == "new_purchased"
    effects = partition.advance(START + 365 * DAY + 1)
    assert told(effects) == [("stage_changed", "customer", "old_purchased")]


def test_a_customer_grows_old_sooner_where_an_earlier_event_comes_late() -> None:
    """The first sight moves back, and the timer with it."""
    rfm = {"recency_days": 90, "frequency": 2, "monetary_minor": 5000}
    partition = Partition(brisk(sops=[], rfm=rfm), {})  # no other timer comes before
    partition.apply([(paid("a", START + DAY), START + DAY)])
    view = event("v", "page_viewed", START, page="/", category="", duration_ms=0)
    partition.apply([(view, START + DAY)])
    changed = ("stage_changed", "customer", "old_purchased")
    assert changed not in told(partition.advance(START + 3 * DAY))
    assert changed in told(partition.advance(START + 3 * DAY + 1))


def test_a_customer_whom_a_new_playbook_makes_new_again_grows_old_by_the_clock() -> None:
    """Nothing about the orders has changed, and there is a timer all the same."""
    before = Partition(BRISK, {})
    before.apply([(paid("a", START), START)])
    before.advance(START + 5 * DAY)
    assert before.profiles["ann"].customer == "old_purchased"
    longer = brisk(version=4, stages={"customer": {"new_for": "9d"}})
    partition = Partition(longer, before.profiles)
    view = event("v", "page_viewed", START + 5 * DAY, page="/", category="", duration_ms=0)
    effects = partition.apply([(view, START + 5 * DAY)])
    assert ("stage_changed", "customer", "new_purchased") in told(effects)
    changed = ("stage_changed", "customer", "old_purchased")
    assert changed not in told(partition.advance(START + 9 * DAY))
    assert changed in told(partition.advance(START + 9 * DAY + 1))


def test_ids_are_the_same_in_every_process() -> None:
    """An action's id is the BLAKE2b hash of who and why, written as netstrings."""
    framed = b"6:action,3:ann,15:second-purchase,1:1,6:paid-a,8:reminder,"
    partition = Partition(SHIPPED, {})
    partition.apply([(paid("a", START), START)])
    (action,) = partition.advance(START + 30 * DAY).actions
    assert action.action_id == blake2b(framed, digest_size=16).hexdigest()
