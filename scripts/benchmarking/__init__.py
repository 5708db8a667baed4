"""Subcommands of `scripts/benchmark.py`, one module each, and shared code."""
