"""Video codecs, and the choice of one for a viewer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum


class Codec(StrEnum):
    """Codecs that the server can send; the values are their names in the settings."""

    H264 = "h264"
    """Encoded by the server, with NVENC where available."""
    VP8 = "vp8"
    """Encoded by aiortc, for browsers without H.264."""

    @property
    def mime_type(self) -> str:
        """The codec's name in SDP and aiortc."""
        return f"video/{self.upper()}"


def parse_codecs(text: str) -> tuple[Codec, ...]:
    """Parse comma-separated names, the preferred one first.

    Raises:
        ValueError: If there are none, unknown ones, or one twice.
    """
    codecs = tuple(Codec(name.strip().lower()) for name in text.split(","))
    if len(set(codecs)) < len(codecs):
        raise ValueError(f"expected each codec once, got {text!r}")
    return codecs


def choose_codec(preferred: Sequence[Codec], offered: Collection[str]) -> Codec | None:
    """Return the first preferred codec whose MIME type is offered; None if there is none."""
    return next((codec for codec in preferred if codec.mime_type in offered), None)
