"""Render workers: processes that fill caches, and the threads that warp caches into frames.

Independent of the web framework and of WebRTC. Only `engine.py` imports the models; `fake.py`
replaces it in tests.
"""
