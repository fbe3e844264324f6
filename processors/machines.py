"""Stage machines of the playbook: ladders of conditions, and states with transitions.

A ladder is a function of its conditions, and falls back with them. Transitions depend on the order
in which events arrive: that is what they are for.
"""

from processors.draft import Draft
from processors.rules import Ladder, Move, Transitions
from schemas.records import Touchpoint


def climb(draft: Draft, ladder: Ladder, touchpoint: Touchpoint | None) -> None:
    """Bring a ladder up to the draft's time: the highest state whose condition holds."""
    profile, now = draft.profile, draft.at
    draft.look_again(ladder.turns(profile, now))
    highest = None
    for move in ladder.moves:
        if move.condition.holds(profile, touchpoint, now):
            highest = move
            break
    state = profile.machines.get(ladder.name, "")
    if highest is not None:
        if state != highest.to:
            _enter(draft, ladder.name, highest, touchpoint)
    elif state != ladder.first:
        fallen = next((move for move in ladder.moves if move.to == state), None)
        values = {} if fallen is None else fallen.condition.values(profile, touchpoint, now)
        state_stage(draft, ladder.name, ladder.first, ladder.path, values)


def move_on(draft: Draft, machine: Transitions, touchpoint: Touchpoint | None) -> None:
    """Take the first transition that is open, and those that follow from it.

    The event at hand opens one transition at most, and no state is entered twice at a time.
    """
    profile = draft.profile
    if profile.machines.get(machine.name, "") not in machine.states:
        state_stage(draft, machine.name, machine.first, machine.path, {})
    entered = {profile.machines[machine.name]}
    while (move := _open_move(draft, machine, touchpoint)) is not None and move.to not in entered:
        _enter(draft, machine.name, move, touchpoint)
        entered.add(move.to)
        touchpoint = None
    for move in machine.moves:
        if move.leaves(profile.machines[machine.name]):
            draft.look_again(move.condition.turns(profile, draft.at))


def state_stage(
    draft: Draft,
    machine: str,
    state: str,
    rule: str,
    values: dict[str, str],
    kind: str = "stage_changed",
) -> None:
    """Put the machine into the state, and state the change."""
    profile = draft.profile
    old = profile.machines.get(machine, "")
    draft.fact(kind, machine, old=old, new=state, rule=rule, values=values)
    profile.machines = {**profile.machines, machine: state}
    draft.changed.add(f"stage:{machine}")


def _open_move(draft: Draft, machine: Transitions, touchpoint: Touchpoint | None) -> Move | None:
    state = draft.profile.machines[machine.name]
    for move in machine.moves:
        if move.leaves(state) and move.condition.holds(draft.profile, touchpoint, draft.at):
            return move
    return None


def _enter(draft: Draft, machine: str, move: Move, touchpoint: Touchpoint | None) -> None:
    values = move.condition.values(draft.profile, touchpoint, draft.at)
    state_stage(draft, machine, move.to, move.path, values)
