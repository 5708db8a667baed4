"""Errors of videos that no avatar can be made from."""

from __future__ import annotations


class VideoError(ValueError):
    """The video cannot be used; the message says what to film differently."""


class WeakVideoError(VideoError):
    """A video gives a poor avatar; the user may continue nevertheless."""
