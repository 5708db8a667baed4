"""The steps of `scripts/bake_head.py` and `scripts/import_head.py`: what heads are made of."""
