"""Windows are bounded, and what they keep is a function of the set of events."""

from hypothesis import given
from hypothesis import strategies as st
from strategies import DAY, HOUR, START, THOROUGH

from processors.windows import add, expiry, grain_of, oldest_bucket, trail
from schemas.playbook.conditions import PastSpec

TIMES = st.lists(st.integers(START - 40 * DAY, START + 40 * DAY), max_size=60)
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
    """Buckets that reach into the window sum up to the events in them, as the clock goes on."""
    grain, now = grain_of(span), START
    buckets: dict[int, int] = {}
    for at in data.draw(st.permutations(times)):
        now += data.draw(st.integers(0, HOUR))
        buckets = add(buckets, at, 1, span, grain, now)
        assert len(buckets) <= span // grain + 16
    oldest = oldest_bucket(span, grain, now)
    latest = sorted({at // grain for at in times})[-(span // grain + 16) :]
    want = [at for at in times if (at // grain + 1) * grain > now - span and at // grain in latest]
    assert sum(total for bucket, total in buckets.items() if bucket >= oldest) == len(want)


@THOROUGH
@given(bucket=st.integers(0, 10**6), span=SPANS)
def test_a_bucket_expires_at_the_first_instant_outside(bucket: int, span: int) -> None:
    """A millisecond before, the bucket still counts."""
    grain = grain_of(span)
    due = expiry(bucket, span, grain)
    assert oldest_bucket(span, grain, due - 1) == bucket
    assert oldest_bucket(span, grain, due) == bucket + 1


def test_the_grain_grows_with_the_span() -> None:
    """Hours up to three days, days up to 92, weeks beyond: never more than 130 buckets."""
    spans = [HOUR, 3 * DAY, 3 * DAY + 1, 92 * DAY, 92 * DAY + 1, 800 * DAY]
    assert [grain_of(span) for span in spans] == [HOUR, HOUR, DAY, DAY, 7 * DAY, 7 * DAY]
    assert max(span // grain_of(span) + 16 for span in spans) == 130


def test_windows_of_the_same_events_are_shared_whatever_they_ask() -> None:
    """The name of a window depends on kinds and checks alone: a changed threshold keeps it."""
    one = PastSpec.model_validate({"event": "page_viewed", "where": {"category": "a"}})
    other = PastSpec.model_validate({"event": ["page_viewed"], "where": {"category": "b"}})
    assert trail(one, 3).key == trail(one, 5).key != trail(other, 3).key
