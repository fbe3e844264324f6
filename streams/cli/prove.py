"""``touchline prove``: has the line done what its log asks for, exactly once, and nothing else?"""

import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from schemas.topics import load_topics
from streams.cli.asking import table
from streams.cli.output import (
    err,
    json_option,
    load_settings,
    print_json,
    progress,
    settings_options,
    show,
)
from streams.cli.verify import tell

if TYPE_CHECKING:
    from streams.prove import Proof


@click.command()
@settings_options("playbook", "bootstrap", "broker", "topic_prefix", "registry")
@click.option(
    "--earlier",
    metavar="FILE",
    multiple=True,
    help="A playbook that the line followed before, by name or file; repeat it for each.",
)
@json_option
def prove(earlier: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Fold the whole log again and hold what the line has done against it; exit 1 if it differs.

    Each action and each fact that the log asks for must be on its topic once and say just that;
    none may come before its time, where the broker stamps the log; there must be no other; and each
    profile of the changelog must be the one that the log gives. Reads only, joins no group; the
    line may run meanwhile.

    The workers write down which playbook held from where on: give the files of those that held
    before with --earlier. What the topics' retention has deleted is counted, and not looked for.
    """
    from streams.admin import require_topics  # noqa: PLC0415 - so that --help answers at once
    from streams.prove import count_touchpoints  # noqa: PLC0415 - as above
    from streams.prove import prove as run  # noqa: PLC0415 - as above
    from streams.replay import NotProvableError  # noqa: PLC0415 - as above

    settings = load_settings(**flags)
    playbooks = [compile_playbook(find_playbook(each)) for each in (settings.playbook, *earlier)]
    require_topics(settings.bootstrap, load_topics().values(), prefix=settings.topic_prefix)

    async def proved() -> "Proof":
        with progress() as bar:
            task = bar.add_task("folding the log", total=await count_touchpoints(settings))
            return await run(settings, playbooks, lambda more: bar.advance(task, more))

    try:
        proof = asyncio.run(proved())
    except NotProvableError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(
            {
                "ok": not proof.findings,
                "partitions": [each._asdict() for each in proof.partitions],
                "findings": [asdict(finding) for finding in proof.findings],
            }
        )
    else:
        _draw(proof)
    sys.exit(1 if proof.findings else 0)


def _draw(proof: "Proof") -> None:
    columns = (
        "partition", "touchpoints", "behind", "people", "in hand", "actions", "facts", "repeated",
        "forgotten",
    )  # fmt: skip
    cells = [tuple(each) for each in proof.partitions]
    show(table("what the log gives and the line has, to the letter", columns, cells))
    tell(proof.findings)
    if proof.findings:
        err.print(f"{len(proof.findings)} things are not as the log gives them", highlight=False)
        return
    total = proof.total()
    once = "perhaps repeated under its id" if total.repeated else "exactly once"
    proven = (
        f"proven: {total.touchpoints:,} touchpoints give {total.actions:,} actions and "
        f"{total.facts:,} facts: each is there {once}, and no other; {total.people:,} profiles are "
        "the same to the byte"
    )
    said = [proven]
    if total.behind:
        said.append(f"not proven yet: {total.behind:,} touchpoints that are not applied")
    if total.in_hand:
        said.append(f"not proven: {total.in_hand:,} profiles that a worker had in hand")
    if total.forgotten:
        said.append(f"not proven: {total.forgotten:,} that are no longer on their topics")
    err.print("\n".join(said), highlight=False)
