"""Payload types that offers may give to a codec of their choice: more of them than aiortc knows."""

from __future__ import annotations

import aiortc.rtp

DYNAMIC_PAYLOAD_TYPES = frozenset((*range(35, 64), *range(96, 128)))
"""RFC 3551, section 3: 96 to 127, and below 96 those that have no codec of their own. Browsers with
many codecs use these, but not 64 to 95, which RTCP on the same port has (RFC 5761, section 4)."""


def enable_payload_types() -> None:
    """Let aiortc answer with all of them; calling this again changes nothing.

    For others it answers with the payload type that it would offer itself.
    """
    aiortc.rtp.DYNAMIC_PAYLOAD_TYPES = DYNAMIC_PAYLOAD_TYPES  # type: ignore[assignment]  # a set instead of a range
