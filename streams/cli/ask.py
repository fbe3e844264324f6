"""``touchline ask``: retention, RFM, attribution, referrals, flows, participation, effects."""

import click

from streams.cli.ask_money import ask_attribution, ask_effect
from streams.cli.ask_moves import ask_flow, ask_rfm
from streams.cli.ask_people import ask_participation, ask_referrals, ask_retention


@click.group()
def ask() -> None:
    """Ask the warehouse: who comes back, who moves where, what brings the money."""


for command in (
    ask_retention, ask_rfm, ask_attribution, ask_referrals, ask_flow, ask_participation, ask_effect,
):  # fmt: skip
    ask.add_command(command)
