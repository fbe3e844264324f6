"""Hold the profiles of a changelog against those of a replay: the same people, the same bytes."""

from collections.abc import Container, Mapping
from typing import NamedTuple

from processors.partition import Partition
from processors.playbook import Playbook
from schemas.profile import Profile
from streams.store import Store


class Pair(NamedTuple):
    """One person as the changelog and as the replay has them; None for who is not there."""

    user_id: str
    kept: Profile | None
    folded: Profile | None


def differences(
    store: Store, profiles: Mapping[str, Profile], but: Container[str]
) -> tuple[int, list[Pair]]:
    """Return how many people are the same on both sides, and those who are not.

    Args:
        store: As the changelog filled it.
        profiles: Of the replay, at the same place of the log.
        but: Of whom nothing is said.
    """
    same, different, seen = 0, list[Pair](), set[str]()
    for chunk in store.scan():
        for kept in chunk:
            folded = profiles.get(kept.user_id)
            seen.add(kept.user_id)
            if kept.user_id in but:
                continue
            if kept == folded:
                same += 1
            else:
                different.append(Pair(kept.user_id, kept, folded))
    lost = (each for each in profiles if each not in seen and each not in but)
    different += (Pair(each, None, profiles[each]) for each in lost)
    return same, different


def meet(pair: Pair, playbook: Playbook, clock: int) -> bool:
    """Tell whether both sides become the same once their timers have fired until the clock.

    Where very many timers are due at once they fire in parts, which reach the changelog before the
    record that they come before.
    """
    if pair.kept is None or pair.folded is None:
        return False
    sides = []
    for profile in (pair.kept, pair.folded):
        partition = Partition(playbook, {pair.user_id: profile})
        partition.advance(clock)
        sides.append(partition.profiles[pair.user_id])
    return sides[0] == sides[1]
