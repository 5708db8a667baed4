"""Received packets of a voice, with and without their capture time."""

from __future__ import annotations

from struct import pack

import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import RtpPacket

from server.transport.webrtc.aiortc_internals.capture_time import (
    CAPTURE_TIME_URI,
    enable_capture_time,
)

NTP_OF_1970 = 2_208_988_800
ID = 5


def a_packet(timestamp: int, extension: bytes | None, ssrc: int = 1) -> RtpPacket:
    """Return a received packet, with the extension or without."""
    enable_capture_time()
    known = aiortc.rtp.HeaderExtensionsMap()
    known.configure(
        RTCRtpParameters(
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=ID, uri=CAPTURE_TIME_URI)]
        )
    )
    packet = RtpPacket(payload_type=111, timestamp=timestamp, ssrc=ssrc, payload=b"opus")
    header, payload = packet.serialize()[:12], b"opus"
    if extension is None:
        return RtpPacket.parse(header + payload, known)
    profile, value = aiortc.rtp.pack_header_extensions([(ID, extension)])
    header = bytes([header[0] | 0x10]) + header[1:] + pack("!HH", profile, len(value) // 4) + value
    return RtpPacket.parse(header + payload, known)


def ntp(unix_s: float) -> bytes:
    return pack("!Q", round((unix_s + NTP_OF_1970) * 2**32))
