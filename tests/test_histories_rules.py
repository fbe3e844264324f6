"""Tags, stages, RFM and points of random histories are those of the definitions, in any order.

Property (a) of ``test_histories.py``, and the reference that reads the whole history each time.
"""

from typing import Any

import pytest
from histories import known, lives, restarted
from hypothesis import given
from hypothesis import strategies as st
from reference import Reference
from rule_strategies import deliveries
from strategies import DAY, EXHAUSTIVE, HOUR, Log
from test_fold_rules import shown
from worlds import World, worlds

from processors.partition import Partition
from schemas.records import Touchpoint

# A thousand histories take 20 s of a core; on a crowded machine that may be minutes.
pytestmark = [pytest.mark.timeout(1_200), pytest.mark.usefixtures("unlike")]


def people(events: list[Touchpoint]) -> dict[str, list[Touchpoint]]:
    """Return the events of each person."""
    users = {event.user_id for event in events}
    return {user: [event for event in events if event.user_id == user] for user in users}


def shown_of(partition: Partition) -> dict[str, dict[str, Any]]:
    """Return what the rules say of everybody."""
    return {user: shown(profile) for user, profile in partition.profiles.items() if profile.applied}


@EXHAUSTIVE
@given(world=worlds(), log=lives())
def test_every_history_is_as_the_reference_says(world: World, log: Log) -> None:
    """After every record, and as the clock goes on, all is as brute force over the past has it."""
    partition = Partition(world.first, {})
    counted = known(log)
    ruled = [(playbook, record) for playbook, part in world.eras(log) for record in part]
    for number, (playbook, (event, at)) in enumerate(ruled):
        if playbook is not partition.playbook:
            partition = restarted(partition, playbook)
        partition.apply([(event, at)])
        if (event, at) not in counted:
            continue
        past = [each for each, came in counted if came <= at and each.user_id == event.user_id]
        want = Reference(world.plain, past, at).shown()
        assert shown(partition.profiles[event.user_id]) == want, number
    own = people([event for event, _ in counted])
    for wait in (HOUR, 29 * HOUR, 6 * DAY):
        now = partition.clock + wait
        partition.advance(now)
        assert shown_of(partition) == {
            user: Reference(world.plain, events, now).shown() for user, events in own.items()
        }


@EXHAUSTIVE
@given(world=worlds(), log=lives(), data=st.data())
def test_any_order_and_any_repeat_give_the_same(
    world: World, log: Log, data: st.DataObject
) -> None:
    """(a) Delivered twice, each time shuffled within the lateness and repeated: the same people."""
    events = [event for event, _ in known(log)]
    results = []
    for _ in range(2):
        partition = Partition(world.playbook, {})
        partition.apply(data.draw(deliveries(events)))
        partition.advance(log[-1][1] + 9 * DAY)
        results.append(shown_of(partition))
    assert results[0] == results[1]
