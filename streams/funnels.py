"""The funnels of a playbook as queries of the warehouse."""

from schemas.playbook import PlaybookSpec
from sinks.condition import Condition
from sinks.funnel_spec import Funnel, Step


class UnknownFunnel(LookupError):  # noqa: N818 - says what is so, like KeyError's own kind
    """The playbook declares no funnel of that name."""


def find_funnel(playbook: PlaybookSpec, name: str) -> Funnel:
    """Return the query of a funnel that the playbook declares.

    Raises:
        UnknownFunnel: it declares no funnel of that name; the message has those that it does.
    """
    specs = {spec.name: spec for spec in playbook.funnels}
    if name not in specs:
        raise UnknownFunnel(
            f"playbook {playbook.name} has no funnel {name!r}; it has {', '.join(specs) or 'none'}"
        )
    spec = specs[name]
    steps = tuple(Step(step.name, Condition((step.event,))) for step in spec.steps)
    return Funnel(spec.name, steps, spec.window, spec.entry)
