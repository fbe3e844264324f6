"""One job, done by Touchline and by its peers on one broker; ``benchmarks/peers.py`` runs them.

Every peer is a process of its own with the arguments ``BOOTSTRAP SOURCE PREFIX``: it reads SOURCE
as the group PREFIXgroup, writes actions to PREFIXactions.message, and prints ``first`` when it
takes the first record in hand.
"""
