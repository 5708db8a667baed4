"""The capture-time extension is negotiated once, and read from the packets that carry it."""

from __future__ import annotations

from struct import pack

import aiortc.codecs
import aiortc.rtp
import pytest

from server.transport.webrtc.aiortc_internals.capture_time import (
    CAPTURE_TIME_URI,
    capture_time_ms,
    enable_capture_time,
)
from server.transport.webrtc.aiortc_internals.playout_delay import enable_playout_delay
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature
from tests.server.transport.webrtc.captured_packets import a_packet, ntp


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


@pytest.mark.parametrize("clock_offset", [b"", pack("!q", 77)])
def test_it_is_read_with_and_without_an_offset_between_clocks(clock_offset: bytes) -> None:
    packet = a_packet(0, ntp(1.8e9) + clock_offset)
    assert capture_time_ms(packet) == pytest.approx(1.8e12, abs=0.01)


@pytest.mark.parametrize("extension", [None, b"short"])
def test_packets_without_it_or_with_a_malformed_one_have_no_time(extension: bytes | None) -> None:
    assert capture_time_ms(a_packet(0, extension)) is None
