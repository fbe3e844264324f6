"""Who asks only what may have changed comes to the same as who asks everything, every time."""

from dataclasses import replace

from histories import lives, run
from hypothesis import given
from strategies import THOROUGH, Log
from worlds import World, worlds

from processors.logic import Condition, any_of
from processors.playbook import Playbook
from processors.rules import Asked
from processors.sops import Sop
from schemas.profile import dump
from schemas.rules import payload_rules


def always(condition: Condition) -> Condition:
    """Return the condition as one that every event and every timer concerns."""
    return replace(condition, denies_event=True)


def asked_always(sop: Sop) -> Sop:
    """Return the SOP with its edge and its journeys asked at every event and timer."""
    bodies = {
        version: replace(
            body,
            steps={
                name: replace(step, watched=always(step.watched))
                for name, step in body.steps.items()
            },
        )
        for version, body in sop.bodies.items()
    }
    condition = None if sop.condition is None else always(sop.condition)
    return replace(sop, condition=condition, bodies=bodies)


def asking_everything(playbook: Playbook) -> Playbook:
    """Return the playbook without its short cuts for journeys, edges and timers."""
    sops = {name: asked_always(sop) for name, sop in playbook.sops.items()}
    edges = tuple(sops[sop.name] for sop in playbook.edges)
    return replace(
        playbook,
        sops=sops,
        entries={
            kind: tuple(sops[sop.name] for sop in opened)
            for kind, opened in playbook.entries.items()
        },
        edges=edges,
        edges_by_kind=dict.fromkeys(payload_rules(), edges),
        edges_at_once=dict.fromkeys(payload_rules(), edges),
        watched=frozenset(payload_rules()),
        clock=lambda _profile, now: now + 1,
        rules_by_clock=tuple(Asked(rule, None, frozenset()) for rule in playbook.rules),
    )


@THOROUGH
@given(world=worlds(), log=lives())
def test_asking_only_what_is_concerned_changes_nothing(world: World, log: Log) -> None:
    """Profiles, facts and actions are those of a fold that asks every SOP and rule each time."""
    profiles, facts, actions = run(world, log)
    others, *said = run(world, log, asking_everything)
    assert list(dump(profiles)) == list(dump(others))
    assert [facts, actions] == said


def test_nothing_to_watch_holds_never() -> None:
    """A journey without exits at a step that waits for nothing is moved by the clock alone."""
    nothing = any_of([])
    assert not nothing.concerns(None, {"segment"})
