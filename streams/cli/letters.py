"""``touchline dead-letters``: give dead letters back to the line once what was wrong is mended."""

from collections import Counter
from typing import Any

import click

from streams.cli.output import err, json_option, load_settings, print_json, settings_options
from streams.letters import read_letters
from streams.publisher import Publisher


@click.group("dead-letters")
def dead_letters() -> None:
    """Records of touchpoints that could not be applied."""


@dead_letters.command()
@settings_options("bootstrap", "topic_prefix", "registry")
@click.option("--reason", multiple=True, help="Only those of this reason; may be given repeatedly.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@json_option
def redrive(reason: tuple[str, ...], dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Publish dead letters again, as they were, at the end of touchpoints.

    Redrive after the cause is mended: a letter that is still bad becomes a dead letter again, and
    one that was applied meanwhile is counted as a duplicate. So it is safe to do it twice. What
    the lateness of the playbook has overtaken is counted as late.
    """
    settings = load_settings(**flags)
    counts: Counter[str] = Counter()
    codec = settings.new_codec()
    letters = read_letters(settings.bootstrap, settings.topic("dead-letters"), codec)
    with Publisher(settings.bootstrap, settings.topic("touchpoints"), codec) as publisher:
        for letter in letters:
            if reason and letter.reason not in reason:
                continue
            counts[letter.reason] += 1
            if not dry_run:
                publisher.publish_raw(letter.key, letter.value)
    if as_json:
        print_json({"redriven": 0 if dry_run else counts.total(), "letters": counts})
        return
    for name, number in counts.most_common():
        err.print(f"{number:>8} {name}")
    err.print(f"{counts.total()} dead letters {'found' if dry_run else 'published again'}")
