"""Windows are bounded, and what they keep is a function of the set of events."""

from hypothesis import given
from hypothesis import strategies as st
from strategies import DAY, HOUR, START, THOROUGH

from processors.windows import add, expiry, grain_of, oldest_bucket, trail
from schemas.playbook.conditions import PastSpec

TIMES = st.lists(st.integers(START - 40 * DAY, START + DAY), max_size=60)
"""The furthest is as far ahead of the clock as an event may be."""
AHEAD = 25
"""Buckets of an hour for a day ahead, and the one that is open."""
SPANS = st.sampled_from((HOUR, 5 * HOUR, 3 * DAY, 3 * DAY + 1, 30 * DAY))


@THOROUGH
@given(times=TIMES, kept=st.integers(1, 8), data=st.data())
def test_a_trail_keeps_the_latest_in_any_order(
    times: list[int], kept: int, data: st.DataObject
) -> None:
    """Of all times the latest so many are kept, sorted."""
    window = trail(PastSpec(event="page_viewed"), kept)
    held: tuple[int, ...] = ()
    for at in data.draw(st.permutations(times)):
        held = window.grown(held, at)
    assert list(held) == sorted(times)[-kept:]


@THOROUGH
@given(times=TIMES, span=SPANS, data=st.data())
def test_a_tally_agrees_with_a_sum_over_all_events_in_any_order(
    times: list[int], span: int, data: st.DataObject
) -> None:
    """Buckets that reach into the window sum up to the events in them, and there are no others."""
    grain, now = grain_of(span), START
    buckets: dict[int, int] = {}
    for at in data.draw(st.permutations(times)):
        now += data.draw(st.integers(0, HOUR))
        buckets = add(buckets, at, 1, span, grain, now)
        assert len(buckets) <= span // grain + AHEAD
    oldest = oldest_bucket(span, grain, now)
    want = [at for at in times if (at // grain + 1) * grain > now - span]
    assert sum(total for bucket, total in buckets.items() if bucket >= oldest) == len(want)


def test_a_tally_is_bounded_whatever_the_clocks_say() -> None:
    """Of events far ahead of the clock the latest stay, in any order of arrival."""
    hours = range(60)
    for order in (hours, reversed(hours)):
        buckets: dict[int, int] = {}
        for hour in order:
            buckets = add(buckets, START + hour * HOUR, 1, 3 * HOUR, HOUR, START)
        assert sorted(buckets) == [START // HOUR + hour for hour in hours][-(3 + AHEAD) :]


@THOROUGH
@given(bucket=st.integers(0, 10**6), span=SPANS)
def test_a_bucket_expires_at_the_first_instant_outside(bucket: int, span: int) -> None:
    """A millisecond before, the bucket still counts."""
    grain = grain_of(span)
    due = expiry(bucket, span, grain)
    assert oldest_bucket(span, grain, due - 1) == bucket
    assert oldest_bucket(span, grain, due) == bucket + 1


def test_the_grain_grows_with_the_span() -> None:
    """Hours up to three days, days up to 92, weeks beyond: never more than 139 buckets."""
    spans = [HOUR, 3 * DAY, 3 * DAY + 1, 92 * DAY, 92 * DAY + 1, 800 * DAY]
    assert [grain_of(span) for span in spans] == [HOUR, HOUR, DAY, DAY, 7 * DAY, 7 * DAY]
    assert max(span // grain_of(span) + AHEAD for span in spans) == 139


def test_windows_of_the_same_events_are_shared_whatever_they_ask() -> None:
    """The name of a window depends on kinds and checks alone: a changed threshold keeps it."""
    one = PastSpec.model_validate({"event": "page_viewed", "where": {"category": "a"}})
    other = PastSpec.model_validate({"event": ["page_viewed"], "where": {"category": "b"}})
    assert trail(one, 3).key == trail(one, 5).key != trail(other, 3).key
