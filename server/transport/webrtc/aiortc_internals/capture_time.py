"""Make aiortc read the header extension in which a publisher sends the capture time of its sound.

https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/abs-capture-time
aiortc does not know the extension.
"""

from __future__ import annotations

from struct import unpack

import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import RtpPacket

from server.transport.webrtc.aiortc_internals.header_extensions import add_header_extension
from server.transport.webrtc.aiortc_internals.playout_delay import (
    PlayoutDelayMap,
    enable_playout_delay,
)

CAPTURE_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
_LENGTHS = (8, 16)
"""Bytes, without and with the offset between the clocks of sender and capture system."""
_NTP_FRACTION = 1 << 32  # units of a 64-bit NTP timestamp per second
_NTP_TO_UNIX_S = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905)."""


class CaptureTimeMap(PlayoutDelayMap):
    """Extend the map of header extensions: received packets carry their capture time."""

    def __init__(self) -> None:
        super().__init__()
        self._capture_time_id: int | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        """Store the negotiated extension ids."""
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == CAPTURE_TIME_URI:
                self._capture_time_id = extension.id

    def get(self, extension_profile: int, extension_value: bytes) -> aiortc.rtp.HeaderExtensions:
        """Read the extensions of one packet."""
        values = super().get(extension_profile, extension_value)
        for number, value in aiortc.rtp.unpack_header_extensions(
            extension_profile, extension_value
        ):
            # Another length is no capture time; the packet is used without it.
            if number == self._capture_time_id and len(value) in _LENGTHS:
                (values.abs_capture_time,) = unpack("!Q", value[:8])  # type: ignore[attr-defined]  # a field that aiortc lacks
        return values


def enable_capture_time() -> None:
    """Make every later connection negotiate and read the extension; again, it changes nothing."""
    enable_playout_delay()
    add_header_extension("audio", CAPTURE_TIME_URI, CaptureTimeMap)


def capture_time_ms(packet: RtpPacket) -> float | None:
    """Return the capture time that a received packet carries.

    Returns:
        Milliseconds since 1970 on the sender's clock; None for a packet without the extension.
    """
    ntp: int | None = getattr(packet.extensions, "abs_capture_time", None)
    return (ntp / _NTP_FRACTION - _NTP_TO_UNIX_S) * 1e3 if ntp else None
