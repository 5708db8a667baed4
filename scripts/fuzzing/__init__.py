"""Mutated files for every importer: `scripts/fuzz.py`."""
