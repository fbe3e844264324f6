"""``touchline explain`` and ``touchline why-not``: why something happened, and why it did not."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from processors.timeline import Chapter, about, tell
from schemas.playbook import find_playbook
from schemas.records import Fact
from streams.cli.history import History, fold_file, read_person
from streams.cli.output import json_option, load_settings, settings_options
from streams.cli.simulate import until_option

_user = click.option("--user", required=True, help="The person, by user id.")
_events = click.option(
    "--events",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fold this file (JSON lines) instead of reading the log on Kafka.",
)
_SOURCE = ("playbook", "bootstrap", "broker", "topic_prefix", "registry")


@click.command()
@_user
@_events
@until_option
@settings_options(*_SOURCE)
@json_option
def explain(user: str, events: Path | None, until: int | None, as_json: bool, **flags: Any) -> None:
    """Tell a person's story: each event and timer, what followed from it, and by which rule.

    Reads the person's touchpoints and facts from Kafka, or folds a file with --events. A line
    names the rule of the playbook that decided and, in brackets, the values that it saw.
    """
    history = _load(user, events, until, flags)
    if as_json:
        for fact in history.facts:
            click.echo(msgspec.json.encode(fact).decode())
        return
    for chapter in tell(history.touchpoints, history.facts):
        click.echo(f"{_clock(chapter.at)}  {_headline(chapter)}")
        for fact in chapter.facts:
            click.echo(f"    {_sentence(fact)}")


@click.command("why-not")
@_user
@click.option("--sop", required=True, help="The SOP, by its name in the playbook.")
@_events
@until_option
@settings_options(*_SOURCE)
@json_option
def why_not(
    user: str, sop: str, events: Path | None, until: int | None, as_json: bool, **flags: Any
) -> None:
    """Say what stopped an SOP for a person, or that nothing did.

    Every action that was not requested has a fact with its reason. If the SOP was never entered,
    says which event would have opened it, and how often the person had one.
    """
    spec = find_playbook(load_settings(**flags).playbook)
    sops = {each.name: each for each in spec.sops}
    if sop not in sops:
        raise click.ClickException(
            f"playbook {spec.name} has no SOP {sop!r}; it has {', '.join(sops) or 'none'}"
        )
    history = _load(user, events, until, flags)
    facts = about(history.facts, sop)
    if as_json:
        for fact in facts:
            click.echo(msgspec.json.encode(fact).decode())
        return
    if not facts:
        click.echo(f"{user} never came to {sop}: {_never(history, sops[sop])}")
        return
    requested = [fact for fact in facts if fact.kind == "action_requested"]
    if requested:
        click.echo(f"{len(requested)} action(s) of {sop} were requested for {user}:")
    for fact in facts:
        click.echo(f"{_clock(fact.at)}  {_sentence(fact)}")


def _load(user: str, events: Path | None, until: int | None, flags: dict[str, Any]) -> History:
    settings = load_settings(**flags)
    if events is None:
        history = read_person(settings, user)
    else:
        everybody = fold_file(events, settings.playbook, until)
        history = History(
            [(each, at) for each, at in everybody.touchpoints if each.user_id == user],
            [fact for fact in everybody.facts if fact.user_id == user],
            [],
        )
    if not history.touchpoints and not history.facts:
        raise click.ClickException(f"nothing is known of {user!r} there")
    return history


def _headline(chapter: Chapter) -> str:
    if chapter.touchpoint is None:
        return f"{chapter.cause_kind} {chapter.cause_id}"
    event = chapter.touchpoint
    payload = ", ".join(f"{name}={value}" for name, value in event.payload.items() if value != "")
    nothing = "" if chapter.facts else "  (nothing followed)"
    return f"{event.kind} {event.event_id}: {payload}{nothing}"


def _sentence(fact: Fact) -> str:
    change = " -> ".join(part for part in (fact.old, fact.new) if part)
    values = ", ".join(
        f"{name}={_spell(name, value)}" for name, value in fact.values.items() if value
    )
    return f"{fact.kind.replace('_', ' ')} {fact.subject}: {change}  by {fact.rule} [{values}]"


def _never(history: History, sop: Any) -> str:
    kinds = [event.kind for event, _ in history.touchpoints]
    wanted = _entry_kinds(sop)
    if not wanted:
        return "its entry condition never became true"
    had = sum(kinds.count(kind) for kind in wanted)
    return f"it opens with {' or '.join(wanted)}, of which there were {had} in {len(kinds)} events"


def _entry_kinds(sop: Any) -> list[str]:
    event = getattr(sop.enter, "event", None) or ()
    return [event] if isinstance(event, str) else list(event)


def _spell(name: str, value: str) -> str:
    return _clock(int(value)) if name.endswith("_at") and value.isdecimal() else value


def _clock(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
