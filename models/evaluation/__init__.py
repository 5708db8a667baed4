"""Evaluation of avatars: quality by cache age, cache-swap flicker, ablation and baseline."""
