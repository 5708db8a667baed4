"""Capture times of the voice, as sent to viewers."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import pytest
from aiortc import RTCDataChannel

from server.pool.fake import fake_avatar
from server.sessions.session import Session
from server.streams.streams import Stream
from server.streams.voice import CLOCK_RATE, VoicePacket
from server.transport.webrtc.control import EVENTS, Control
from server.transport.webrtc.voice_forwarding import VoiceForwarder

AHEAD_S = 1.79e9
"""The publisher's clock minus the server's, seconds."""


class Channel:
    """An open data channel that stores sent messages."""

    def __init__(self) -> None:
        self.label, self.readyState, self.bufferedAmount = EVENTS, "open", 0
        self.sent: list[dict[str, Any]] = []

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))


@pytest.fixture
def stream() -> Stream:
    return Stream("me", fake_avatar())


async def test_each_packet_is_reported_with_its_capture_time(stream: Stream) -> None:
    told: list[tuple[int, float]] = []
    clock = stream.capture_clock
    forwarder = VoiceForwarder(
        stream.voice,
        lambda packet: clock.captured_at(packet.captured_at_ms, packet.arrived_at),
        lambda timestamp, at: told.append((timestamp, at)),
    )
    began = time.monotonic()
    for index in range(50):
        captured_at = began + index * 0.02
        captured_at_ms = (captured_at + AHEAD_S) * 1e3
        clock.note_face(captured_at_ms, captured_at + 0.080)
        arrived_at = captured_at + 0.030 + index % 3 * 0.005  # jitter
        packet = VoicePacket(b"", 1, index, index * 960, False, arrived_at, captured_at_ms)
        stream.publish_voice(packet)
        outgoing = await forwarder.next_packet()
        assert told[-1][0] == outgoing.timestamp
    forwarder.close()
    (first, _), (last, last_at) = told[1], told[-1]
    assert (last - first) % 2**32 == 48 * 960
    # The fastest packet counts as undelayed: capture times appear 30 ms late.
    assert last_at == pytest.approx(began + 49 * 0.02 + 0.030, abs=0.002)
    at = forwarder.clock.timestamp_at(last_at + 1.0)
    assert at is not None
    assert (at - last) % 2**32 == pytest.approx(CLOCK_RATE, abs=2)


def test_packets_are_reported_at_intervals(stream: Stream) -> None:
    channel = Channel()
    control = Control(cast("Session", FakeSession()), lambda: None)
    control.attach(cast("RTCDataChannel", channel))
    for index in range(20):
        control.report_voice(960 * index, 12.34567)
    assert channel.sent == [{"type": "voice", "rtp_timestamp": 0, "captured_at_ms": 12345.67}]


class FakeSession:
    """The parts of a session that its channel uses before a message arrives."""

    id = "s"
    max_fps = 30.0
