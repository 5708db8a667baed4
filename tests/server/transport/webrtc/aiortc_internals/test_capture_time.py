"""The capture-time extension is negotiated once, and read from the packets that carry it."""

from __future__ import annotations

from struct import pack

import aiortc.codecs
import aiortc.rtp
import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import RtpPacket

from server.transport.webrtc.aiortc_internals.capture_time import (
    CAPTURE_TIME_URI,
    CaptureTimes,
    enable_capture_time,
)
from server.transport.webrtc.aiortc_internals.playout_delay import enable_playout_delay
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature

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


def test_upstream_still_reads_header_extensions_this_way() -> None:
    assert_signature(
        aiortc.rtp.HeaderExtensionsMap, "get", ("self", "extension_profile", "extension_value")
    )


def test_it_is_offered_once_with_an_id_of_its_own_beside_the_playout_delay() -> None:
    enable_capture_time()
    enable_playout_delay()
    enable_capture_time()
    audio = aiortc.codecs.HEADER_EXTENSIONS["audio"]
    assert [extension.uri for extension in audio].count(CAPTURE_TIME_URI) == 1
    ids = {e.uri: e.id for group in aiortc.codecs.HEADER_EXTENSIONS.values() for e in group}
    assert len(set(ids.values())) == len(ids)


@pytest.mark.parametrize("more", [b"", pack("!q", 77)])
def test_times_of_packets_without_the_extension_are_extrapolated(more: bytes) -> None:
    times = CaptureTimes()
    assert times.of(a_packet(960, None)) is None
    assert times.of(a_packet(1920, ntp(1.8e9) + more)) == pytest.approx(1.8e12, abs=0.01)
    assert times.of(a_packet(1920 + 4800, None)) == pytest.approx(1.8e12 + 100, abs=0.01)
    assert times.of(a_packet(960, None)) == pytest.approx(1.8e12 - 20, abs=0.01)  # reordered


def test_timestamps_wrap_around() -> None:
    times = CaptureTimes()
    times.of(a_packet(2**32 - 480, ntp(1.8e9)))
    assert times.of(a_packet(480, None)) == pytest.approx(1.8e12 + 20, abs=0.01)


def test_sources_have_separate_times_and_a_malformed_extension_is_ignored() -> None:
    times = CaptureTimes()
    times.of(a_packet(0, ntp(1.8e9)))
    assert times.of(a_packet(0, None, ssrc=2)) is None
    assert CaptureTimes().of(a_packet(0, b"short")) is None
