"""Packets without a capture time get one from the timestamps of their source."""

from __future__ import annotations

from struct import pack

import pytest

from server.transport.webrtc.capture_times import CaptureTimes
from tests.server.transport.webrtc.captured_packets import a_packet, ntp


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


def test_sources_have_separate_times() -> None:
    times = CaptureTimes()
    times.of(a_packet(0, ntp(1.8e9)))
    assert times.of(a_packet(0, None, ssrc=2)) is None
