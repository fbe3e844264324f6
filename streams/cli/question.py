"""What a question is asked under: a warehouse, a playbook and a calendar."""

from typing import Any

import click

from schemas.playbook import PlaybookSpec, find_playbook
from schemas.rules import or_rather
from sinks.orders import OrderRules
from streams.cli.output import load_settings
from streams.settings import Settings


def asked_under(options: dict[str, Any]) -> tuple[Settings, PlaybookSpec, str]:
    """Return the settings, the playbook and the time zone, taken out of the options."""
    given = {key: options.pop(key) for key in ("playbook", "warehouse") if key in options}
    settings = load_settings(**given)
    playbook = find_playbook(settings.playbook)
    return settings, playbook, options.pop("timezone", None) or playbook.timezone


def rules_of(playbook: PlaybookSpec) -> OrderRules:
    """Return which orders count under the playbook."""
    return OrderRules(playbook.currency, playbook.min_order_minor)


def check_known(what: str, name: str, known: list[str]) -> None:
    """Refuse a name of which nothing is stored, and of which the playbook knows nothing.

    Raises:
        click.UsageError: it names those that the playbook has.
    """
    if name not in known:
        rather = or_rather(name, dict.fromkeys(known))
        raise click.UsageError(f"nothing is stored of a {what} {name!r}{rather}")
