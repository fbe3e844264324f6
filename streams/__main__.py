"""``python -m streams`` is ``touchline``: how a process of ours starts another."""

from streams.cli import main

main()
