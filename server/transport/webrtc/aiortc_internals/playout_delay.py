"""Make aiortc send the playout-delay header extension, so that browsers show frames at once.

A playout delay of (0, 0) turns off the receiver's smoothing, which adds about 9 ms at the median
and 12 ms at p95 in Chromium. aiortc does not know the extension.
https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/playout-delay
"""

from __future__ import annotations

import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpParameters

from server.transport.webrtc.aiortc_internals.header_extensions import add_header_extension

PLAYOUT_DELAY_URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
NO_DELAY = b"\x00\x00\x00"
"""12 bits of minimum delay and 12 bits of maximum delay, in units of 10 ms."""


class PlayoutDelayMap(aiortc.rtp.HeaderExtensionsMap):
    """Extend aiortc's map of header extensions: sent packets carry a playout delay of 0."""

    def __init__(self) -> None:
        super().__init__()
        self._playout_delay_id: int | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        """Store the negotiated extension ids."""
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == PLAYOUT_DELAY_URI:
                self._playout_delay_id = extension.id

    def set(self, values: aiortc.rtp.HeaderExtensions) -> tuple[int, bytes]:
        """Serialise the extensions of one packet.

        Returns:
            The extension profile and its padded bytes.
        """
        profile, packed = super().set(values)
        if self._playout_delay_id is None:
            return profile, packed
        extensions = aiortc.rtp.unpack_header_extensions(profile, packed)
        extensions.append((self._playout_delay_id, NO_DELAY))
        return aiortc.rtp.pack_header_extensions(extensions)


def enable_playout_delay() -> None:
    """Make every later connection negotiate and send the extension; again, it changes nothing."""
    add_header_extension("video", PLAYOUT_DELAY_URI, PlayoutDelayMap)
