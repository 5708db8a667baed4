"""Which codecs viewers are offered, in which order. Knows no connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum


class Codec(StrEnum):
    """What we can send video in; the values are what settings call them."""

    H264 = "h264"
    """By our own encoder, on the GPU where it has one."""
    VP8 = "vp8"
    """By aiortc's, for browsers without H.264."""

    @property
    def mime_type(self) -> str:
        """As SDP and aiortc name it."""
        return f"video/{self.upper()}"


def parse_codecs(text: str) -> tuple[Codec, ...]:
    """Read names with commas between, the preferred one first.

    Raises:
        ValueError: If there are none, unknown ones, or one twice.
    """
    codecs = tuple(Codec(name.strip().lower()) for name in text.split(","))
    if len(set(codecs)) < len(codecs):
        raise ValueError(f"expected each codec once, got {text!r}")
    return codecs


def choose_codec(preferred: Sequence[Codec], offered: Collection[str]) -> Codec | None:
    """The first we prefer of those whose MIME types the viewer offers; None if there is none."""
    return next((codec for codec in preferred if codec.mime_type in offered), None)
