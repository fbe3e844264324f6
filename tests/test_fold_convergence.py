"""The fold converges: within the lateness bound neither order nor repetition of events matters."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from playbook_yaml import brisk
from strategies import DAY, START, THOROUGH, Log, arrivals, histories

from processors.partition import Partition
from schemas.profile import Profile
from schemas.records import Touchpoint

PLAYBOOK = brisk()
SEGMENTS = {
    (True, True, True): "important_value",
    (False, True, True): "important_keep",
    (True, False, True): "important_develop",
    (False, False, True): "important_retain",
    (True, True, False): "general_value",
    (False, True, False): "general_keep",
    (True, False, False): "general_develop",
    (False, False, False): "general_retain",
}
TOUCHES = {"page_viewed": 1, "friend_added": 2, "group_joined": 2}


def after(log: Log, now: int) -> Profile:
    """Return ann's profile after the log, at ``now``."""
    partition = Partition(PLAYBOOK, {})
    partition.apply(log)
    partition.advance(now)
    return partition.profiles["ann"]


def expected(history: list[Touchpoint], now: int) -> dict[str, Any]:
    """Compute RFM and stages over the whole history, by the definitions and by brute force."""
    orders: dict[str, list[Touchpoint]] = {}
    for event in history:
        if event.kind in {"order_paid", "order_refunded"}:
            orders.setdefault(event.payload["order_id"], []).append(event)
    counted = []
    for events in orders.values():
        payments = [e for e in events if e.kind == "order_paid"]
        paid = sum(e.payload["amount_minor"] for e in payments)
        refunded = sum(e.payload["amount_minor"] for e in events if e not in payments)
        if paid > 0 and paid > refunded:
            counted.append((min(e.occurred_at for e in payments), paid - refunded))
    frequency, money = len(counted), sum(net for _, net in counted)
    last = max((at for at, _ in counted), default=None)
    segment = ""
    if last is not None:
        segment = SEGMENTS[now - last <= 2 * DAY, frequency >= 2, money >= 5000]
    rank = min(frequency, 2) + 2 if frequency else 0
    for event in history:
        rank = max(rank, TOUCHES.get(event.kind, 0))
        if event.kind == "content_shared":
            rank = max(rank, 4 if event.payload["positive"] else 2)
    new = now - min(event.occurred_at for event in history) <= 3 * DAY
    old = "old_repeat" if frequency >= 2 else "old_purchased"
    return {
        "frequency": frequency,
        "monetary_minor": money,
        "last_paid_at": last,
        "segment": segment,
        "aipl": ["", "awareness", "interest", "purchase", "loyalty"][rank],
        "customer": "new_not_purchased" if not frequency else "new_purchased" if new else old,
    }


def shown(profile: Profile, names: dict[str, Any]) -> dict[str, Any]:
    """Return the profile's values of these names."""
    return {name: getattr(profile, name) for name in names}


@THOROUGH
@given(history=histories(), data=st.data())
def test_rfm_and_stages_equal_brute_force_in_any_order(
    history: list[Touchpoint], data: st.DataObject
) -> None:
    """Shuffled, repeated or not: RFM and stages are those of the definitions over the history."""
    log = data.draw(arrivals(history))
    for now in (log[-1][1], START + 8 * DAY, START + 30 * DAY):
        want = expected(history, max(now, log[-1][1]))
        assert shown(after(log, now), want) == want


@THOROUGH
@given(history=histories(), data=st.data())
def test_consents_attributes_and_friends_take_the_last_writer(
    history: list[Touchpoint], data: st.DataObject
) -> None:
    """The latest event wins by its business time, and two orders of arrival agree on ties."""
    one = after(data.draw(arrivals(history)), START + 8 * DAY)
    other = after(data.draw(arrivals(history)), START + 8 * DAY)
    assert one.consents == other.consents
    assert one.attributes == other.attributes
    assert one.friends == other.friends
    for staff, mark in one.friends.items():
        events = [e for e in history if e.kind.startswith("friend_") and e.staff == staff]
        latest = max(event.occurred_at for event in events)
        kinds = {event.kind for event in events if event.occurred_at == latest}
        assert mark.at == latest
        assert ("friend_added" if mark.value else "friend_removed") in kinds


@THOROUGH
@given(history=histories(), data=st.data())
def test_a_person_enters_a_journey_at_most_once(
    history: list[Touchpoint], data: st.DataObject
) -> None:
    """However events arrive, no step of an SOP is requested twice for a person."""
    partition = Partition(PLAYBOOK, {})
    effects = [partition.apply([record]) for record in data.draw(arrivals(history))]
    effects.append(partition.advance(START + 30 * DAY))
    steps = [(action.sop, action.step) for each in effects for action in each.actions]
    assert len(steps) == len(set(steps))
