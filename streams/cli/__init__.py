"""The command line: ``touchline``."""

import sys

import click

from streams.cli.ask import ask
from streams.cli.backtest import backtest
from streams.cli.board import board
from streams.cli.demo import demo
from streams.cli.explain import explain, why_not
from streams.cli.export import export
from streams.cli.funnel import funnel
from streams.cli.letters import dead_letters
from streams.cli.live import live
from streams.cli.output import EXPECTED, FULL, fail
from streams.cli.playbook import playbook
from streams.cli.profiles import profiles
from streams.cli.prove import prove
from streams.cli.publish import publish
from streams.cli.rfm import rfm
from streams.cli.run import sink, worker
from streams.cli.simulate import simulate
from streams.cli.topics import topics
from streams.cli.verify import verify
from streams.cli.warehouse import warehouse

HELP = """Touchline: a real-time engine for private-domain operation.

Touchpoints come in over Kafka, each person's profile is kept live, the actions that the
playbook asks for go out on trigger topics, and every one of them can be explained and replayed.

\b
First steps:
  touchline demo                      the whole line on real purchases, nothing to install
  touchline simulate events.jsonl     what a playbook would do with these events, without Kafka
  touchline explain --user U --events events.jsonl    one person's story, with every reason
  touchline playbook check my.yaml    before you use it
\b
On a Kafka of your own:
  touchline topics create             once
  touchline worker                    folds touchpoints into profiles, requests actions
  touchline sink                      brings the log into ClickHouse
  touchline publish events.jsonl      publishes touchpoints
  touchline export --to log.jsonl     the log as a file, to try a playbook on it
  touchline profiles U123             one person, live
  touchline funnel repeat-purchase    a funnel of the playbook
  touchline live                      what happens now, by minute, and the business by day
  touchline board                     acquisition, operation, conversion, revenue, referral
  touchline ask --help                retention, attribution, RFM movement, referrals, ...
  touchline warehouse check           whether the tables are as they should be
  touchline verify                    is every record accounted for, and once in ClickHouse?
  touchline prove                     folds the log again: was all requested, exactly once?
  touchline rfm means                 measures the population, for RFM against its means
  touchline dead-letters redrive      gives mended records back to the line

Every setting is a flag or a variable TOUCHLINE_<NAME>; the flag wins.
"""


@click.group(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="touchline")
def cli() -> None:
    """Group the commands."""


for command in (
    demo, worker, sink, publish, export, topics, playbook, simulate, backtest, explain, why_not,
    profiles, funnel, dead_letters, ask, live, board, warehouse, rfm,
    verify, prove,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command; turn the errors that a user can mend into one line and exit code 1."""
    try:
        code = cli(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except (click.ClickException, click.Abort, *EXPECTED) as error:
        sys.exit(fail(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(fail(error))
