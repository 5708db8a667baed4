"""The error of a video that no avatar can be made from."""

from __future__ import annotations


class VideoError(ValueError):
    """The video cannot be used; the message says in words what to film differently."""


class WeakVideoError(VideoError):
    """A video gives a poor avatar; whoever wants that all the same may go on."""
