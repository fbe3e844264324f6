"""Rules agree with the definitions: any order of arrival, any repeat, any moment of the clock."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from reference import Reference
from rule_playbook import PLAIN, TEXT, compiled
from rule_strategies import deliveries, lives
from strategies import DAY, EXHAUSTIVE, HOUR, THOROUGH, Log

from processors.partition import Partition
from schemas.profile import Profile, decode, encode
from schemas.records import Touchpoint

PLAYBOOK = compiled(TEXT)


def shown(profile: Profile) -> dict[str, Any]:
    """Return what the reference shows, as the fold has it."""
    return {
        "tags": {name: tag.value for name, tag in profile.tags.items()},
        "machines": profile.machines,
        "segment": profile.segment,
        "aipl": profile.aipl,
        "customer": profile.customer,
        "points": profile.points,
    }


@EXHAUSTIVE
@given(life=lives(), data=st.data())
def test_rules_equal_their_definitions_over_the_whole_history(
    life: list[Touchpoint], data: st.DataObject
) -> None:
    """After every record, and as the clock goes on, all is as the definitions say of what is known.

    The reference sees a set of events, so this is also: order and repetition do not matter.
    """
    partition = Partition(PLAYBOOK, {})
    log: Log = data.draw(deliveries(life))
    known: dict[str, Touchpoint] = {}
    for event, at in log:
        partition.apply([(event, at)])
        known[event.event_id] = event
        want = Reference(PLAIN, list(known.values()), at).shown()
        assert shown(partition.profiles["ann"]) == want
    now = partition.clock
    for wait in data.draw(st.lists(st.integers(1, 60), min_size=3, max_size=3)):
        now += wait * HOUR - data.draw(st.integers(-1, 1))
        partition.advance(now)
        assert shown(partition.profiles["ann"]) == Reference(PLAIN, life, now).shown()


@THOROUGH
@given(life=lives(), data=st.data())
def test_two_orders_of_arrival_agree(life: list[Touchpoint], data: st.DataObject) -> None:
    """The same events, shuffled within the lateness and repeated, give the same person."""
    profiles = []
    for _ in range(2):
        partition = Partition(PLAYBOOK, {})
        partition.apply(data.draw(deliveries(life)))
        partition.advance(max(event.occurred_at for event in life) + 9 * DAY)
        profiles.append(shown(partition.profiles["ann"]))
    assert profiles[0] == profiles[1]


@THOROUGH
@given(life=lives(), data=st.data())
def test_the_clock_alone_is_never_late(life: list[Touchpoint], data: st.DataObject) -> None:
    """Between two timers nothing changes: asking every rule at any moment finds nothing to do."""
    partition = Partition(PLAYBOOK, {})
    log = data.draw(deliveries(life))
    partition.apply(log)
    for wait in data.draw(st.lists(st.integers(1, 30 * HOUR), max_size=4)):
        now = partition.clock + wait
        partition.advance(now)
        profile = decode(encode(partition.profiles["ann"]))
        profile.turn = now
        asked = Partition(PLAYBOOK, {"ann": profile})
        assert asked.advance(now).facts == []
