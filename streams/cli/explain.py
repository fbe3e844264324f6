"""``touchline explain`` and ``touchline why-not``: why something happened, and why it did not."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from processors.timeline import about, tell
from schemas.playbook import SopSpec, find_playbook
from schemas.timezones import load_zone
from streams.cli.history import History, fold_person, read_person
from streams.cli.output import json_option, load_settings, settings_options
from streams.cli.simulate import until_option
from streams.cli.story import Teller

_user = click.option("--user", required=True, help="The person, by user id.")
_events = click.option(
    "--events",
    type=click.Path(allow_dash=True, path_type=Path),
    help="Fold this file (JSON lines, - for standard input) instead of reading the log on Kafka.",
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
    names the rule of the playbook that decided and, in brackets, the values that it saw. Times are
    those of the playbook's zone.
    """
    teller = Teller(load_zone(find_playbook(load_settings(**flags).playbook).timezone))
    history = _load(user, events, until, flags)
    if as_json:
        for fact in history.facts:
            click.echo(msgspec.json.encode(fact).decode())
        return
    for chapter in tell(history.touchpoints, history.facts):
        told = teller.headline(chapter.cause_kind, chapter.cause_id, chapter.touchpoint)
        nothing = "" if chapter.facts else "  (nothing followed)"
        click.echo(f"{teller.clock(chapter.at)}  {told}{nothing}")
        for fact in chapter.facts:
            click.echo(f"    {teller.sentence(fact)}")


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
    teller = Teller(load_zone(spec.timezone))
    for fact in facts:
        click.echo(f"{teller.clock(fact.at)}  {teller.sentence(fact)}")


def _load(user: str, events: Path | None, until: int | None, flags: dict[str, Any]) -> History:
    settings = load_settings(**flags)
    if events is None:
        history = read_person(settings, user)
    else:
        history = fold_person(events, settings.playbook, user, until)
    if not history.touchpoints and not history.facts:
        raise click.ClickException(f"nothing is known of {user!r} there")
    return history


def _never(history: History, sop: SopSpec) -> str:
    kinds = [event.kind for event, _ in history.touchpoints]
    wanted = sop.enter.event
    asked = sop.enter.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"event"})
    if not wanted:
        condition = json.dumps(asked["condition"], ensure_ascii=False)
        return f"its entry condition never became true: {condition}"
    had = sum(kinds.count(kind) for kind in wanted)
    also = f"; it also asks for {json.dumps(asked, ensure_ascii=False)}" if asked else ""
    came = f"of which there were {had} in {len(kinds)} events"
    return f"it opens with {' or '.join(wanted)}, {came}{also}"
