"""The steps of `scripts/bake_head.py`: what the head that ships is made of."""
