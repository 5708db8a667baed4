"""What `scripts/benchmark.py` is made of: a module for each subcommand, and what they share."""
