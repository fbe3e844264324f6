"""What the benchmark of the fold is made of: invented people, and who spends the time."""
