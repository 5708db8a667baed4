"""Dynamic payload types, of which aiortc knows only some."""

from __future__ import annotations

import aiortc.rtp

DYNAMIC_PAYLOAD_TYPES = frozenset((*range(35, 64), *range(96, 128)))
"""RFC 3551, section 3: 96 to 127, and those below 96 without an assigned codec. Browsers with many
codecs use these, but not 64 to 95, which RTCP uses on the same port (RFC 5761, section 4)."""


def enable_payload_types() -> None:
    """Let aiortc answer with all dynamic payload types; repeated calls have no effect.

    For others it answers with the payload type that it would offer itself.
    """
    aiortc.rtp.DYNAMIC_PAYLOAD_TYPES = DYNAMIC_PAYLOAD_TYPES  # type: ignore[assignment]  # a set instead of a range
