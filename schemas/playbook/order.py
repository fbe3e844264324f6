"""What rules read of each other, and the order in which they can be judged."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from schemas.playbook.conditions import ConditionSpec
from schemas.playbook.whole import PlaybookSpec

Node = str
"""What a rule gives: ``stage:<machine>``, ``tag:<name>``, or ``group:<name>`` of exclusive tags."""


def rule_order(spec: PlaybookSpec) -> list[Node]:
    """Return what the rules give and read, each after all that it depends on.

    Raises:
        graphlib.CycleError: rules read each other in a circle; see :func:`circle`.
    """
    return list(TopologicalSorter(_graph(spec)).static_order())


def circle(spec: PlaybookSpec) -> list[Node]:
    """Return rules that read each other in a circle, the first one again at the end."""
    try:
        rule_order(spec)
    except CycleError as error:
        found: list[Node] = error.args[1]
        return found
    return []


def _graph(spec: PlaybookSpec) -> dict[Node, list[Node]]:
    node_of = {f"tag:{tag.name}": tag.node for tag in spec.tags}
    graph: dict[Node, list[Node]] = {"stage:engagement": []} if spec.stages.engagement else {}
    for tag in spec.tags:
        asked = (*tag.rules, *((tag.until,) if tag.until else ()))
        graph.setdefault(tag.node, []).extend(_reads(asked, node_of))
    for machine in spec.stages.machines:
        conditions = (*(state.when for state in machine.states if state.when),)
        moves = (*(move.when for move in machine.transitions),)
        graph.setdefault(machine.node, []).extend(_reads(conditions + moves, node_of))
    return graph


def _reads(conditions: tuple[ConditionSpec, ...], node_of: dict[str, Node]) -> Iterator[Node]:
    for condition in conditions:
        if condition.tag is not None:
            name = f"tag:{condition.tag.name}"
            yield node_of.get(name, name)
        if condition.stage is not None:
            yield f"stage:{condition.stage.machine}"
        yield from _reads(condition.parts, node_of)
