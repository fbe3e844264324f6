"""What the timers of a person must do, read from the facts: scheduled, fired, cancelled or pending.

Each journey is followed in the version that it is in: the one it entered with, until a fact says
that it migrated.
"""

from typing import Any, NamedTuple

from outreach_oracle import moments, noisy, shown, wanted_at, zone_in
from strategies import MINUTE, Log
from worlds import World

from schemas.records import Action, Fact


class Way(NamedTuple):
    """A journey under way: its SOP in the journey's version, and the time that it counts from."""

    sop: dict[str, Any]
    opened: int


def follow_timers(
    world: World, log: Log, facts: list[Fact], actions: dict[str, Action]
) -> dict[str, tuple[str, int]]:
    """Follow one person's facts: each step is scheduled rightly, and fired on time or cancelled.

    Args:
        world: The playbooks.
        log: Everything that happened.
        facts: The person's facts, in order.
        actions: The actions requested, by id.

    Returns:
        Step and due time of the journeys that are still under way.
    """
    pending: dict[str, tuple[str, int]] = {}
    ways: dict[str, Way] = {}
    for fact in facts:
        name, _, step = fact.subject.partition("/")
        due = int(fact.values.get("due_at", 0))
        playbook = world.plain_at(log, fact.at)
        assert fact.playbook_version == playbook["version"]
        match fact.kind:
            case "journey_entered":
                assert name not in pending
                pending[name] = (fact.new, due)
                ways[name] = Way(named(playbook, name), opened_at(log, fact))
                assert fact.values["sop_version"] == str(ways[name].sop["version"])
                check_due(world, log, fact, fact.new, ways[name])
            case "journey_migrated":
                ways[name], target = migrated(world, fact, ways[name], pending[name][0])
                assert pending[name][1] == due
                pending[name] = (target, due)
            case "step_scheduled" | "wait_started":
                assert pending.setdefault(name, (step, due)) == (step, due)
                check_due(world, log, fact, step, ways[name])
            case "action_deferred":
                assert pending[name] == (step, fact.at)
                pending[name] = (step, int(fact.values["until"]))
                check_deferral(world, log, fact, ways[name].sop)
            case "step_skipped" if fact.new != "guard":
                check_skip(world, log, fact, ways[name])
                pending.pop(name, None)
            case "action_requested" | "action_suppressed" | "step_skipped" if step:
                assert pending.pop(name) == (step, fact.at)
                version = ways[name].sop["version"]
                assert fact.kind != "action_requested" or actions[fact.new].sop_version == version
            case "wait_ended":
                waited, until = pending.pop(name)
                assert waited == step
                assert fact.at == until if fact.new == "timeout" else fact.at <= until
            case "journey_exited":
                check_exit(world, fact, ways[name].sop)
                pending.pop(name, None)
    return pending


def opened_at(log: Log, fact: Fact) -> int:
    """Return the time that a journey counts from: of the event, or of the clock that opened it."""
    if fact.cause_kind != "event":
        return fact.at
    return next(
        each.occurred_at
        for each, _ in log
        if (each.user_id, each.event_id) == (fact.user_id, fact.cause_id)
    )


def named(playbook: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the playbook's SOP of this name."""
    (sop,) = (sop for sop in playbook["sops"] if sop["name"] == name)
    return sop


def keeps(sop: dict[str, Any], version: int) -> bool:
    """Tell whether journeys of this version go on under the SOP as they are."""
    kept = [sop["version"], *(each["version"] for each in sop.get("previous", ()))]
    return version in kept


def migrated(world: World, fact: Fact, way: Way, visit: str) -> tuple[Way, str]:
    """The journey is taken to the step that the playbook says, for its version is not kept."""
    now = named(world.plain, fact.subject)
    assert not keeps(now, way.sop["version"])
    step = visit.partition("#")[0]
    assert fact.old == f"{way.sop['version']}/{step}"
    target = now["migrate"]["steps"][step]
    assert fact.new == f"{now['version']}/{target}"
    return Way(now, way.opened), target


def check_exit(world: World, fact: Fact, sop: dict[str, Any]) -> None:
    """A journey ends for a change of the playbook only if that leaves it no place."""
    assert fact.new != "step_removed"
    if fact.new == "sop_removed":
        assert fact.subject not in {each["name"] for each in world.plain["sops"]}
    if fact.new == "version_gone":
        now = named(world.plain, fact.subject)
        assert not keeps(now, sop["version"])
        assert fact.old not in now.get("migrate", {}).get("steps", ())


def check_due(world: World, log: Log, fact: Fact, visit: str, way: Way) -> None:
    """The step is due when the playbook says, by the person's clock; if that is over, at once."""
    known = wanted(world, log, fact, visit, way)
    right = {max(fact.at, at) for each in known for at in each}
    if fact.kind == "journey_entered" and not all(known):
        right.add(fact.at)  # a step without a day: it is skipped at once
    assert int(fact.values["due_at"]) in right


def check_skip(world: World, log: Log, fact: Fact, way: Way) -> None:
    """A step is skipped for its date only if that is over, or no day is known."""
    known = wanted(world, log, fact, fact.subject.partition("/")[2], way)
    if fact.new == "no_date":
        assert not all(known)
    else:
        assert any(at < fact.at for each in known for at in each)


def wanted(world: World, log: Log, fact: Fact, visit: str, way: Way) -> list[set[int]]:
    """Return when the playbook wants a step: with the past before this instant, and up to it."""
    (step,) = (each for each in way.sop["steps"] if each["name"] == visit.partition("#")[0])
    pasts = moments(log, fact.user_id, fact.at)
    zone = world.plain["timezone"]
    return [wanted_at(step, way.opened, fact.at, past, zone) for past in pasts]


def check_deferral(world: World, log: Log, fact: Fact, sop: dict[str, Any]) -> None:
    """It is put off to a later time; for quiet hours, to the first that is not quiet."""
    rules, until = world.plain, int(fact.values["until"])
    assert until > fact.at
    if fact.new == "quiet_hours":
        for past in moments(log, fact.user_id, fact.at)[1:]:
            zone = zone_in(past, rules["timezone"])
            quiet = range(fact.at, until, 15 * MINUTE)
            assert not any(noisy(rules, at, zone, sop, "message") for at in (*quiet, until - 1))
            assert noisy(rules, until, zone, sop, "message")
            assert shown(until, zone).strftime("%M") in {"00", "30", "45"}
