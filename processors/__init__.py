"""The pure core: what an event does to a profile. No clock, no I/O, no randomness."""
