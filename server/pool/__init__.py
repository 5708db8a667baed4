"""Render workers: processes that fill caches, and the thread that warps them into frames.

Knows no web framework and no WebRTC. Only `engine.py` imports the models; `fake.py` stands in for
it wherever the machinery is tested.
"""
