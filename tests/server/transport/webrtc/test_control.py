"""Events of frames while the data channel is congested."""

from __future__ import annotations

from typing import Any, cast

from aiortc import RTCDataChannel

from server.sessions.network_figures import NetworkFigures
from server.sessions.session import Session
from server.transport.webrtc.control import EVENTS, Control
from tests.server.transport.webrtc.test_track import rendered


class StuckChannel:
    """An open data channel whose messages stay buffered until the test sends them."""

    def __init__(self) -> None:
        self.label, self.readyState = EVENTS, "open"
        self.waiting: list[str] = []

    @property
    def bufferedAmount(self) -> int:  # noqa: N802  # aiortc's name
        return sum(map(len, self.waiting))

    def send(self, text: str) -> None:
        self.waiting.append(text)


class FakeSession:
    """The parts of a session that its channels use."""

    id, max_fps, log_ids = "s", 30.0, dict[str, Any]()


def test_few_events_are_buffered_and_the_newest_is_sent_first_afterwards() -> None:
    channel = StuckChannel()
    control = Control(cast("Session", FakeSession()), lambda: None)
    control.attach(cast("RTCDataChannel", channel))
    for number in range(300):  # ten seconds of frames
        control.report(rendered(), 3000 * number, None)
    assert 5 <= len(channel.waiting) <= 20
    control.report_network(NetworkFigures(1_000_000, 0.0, 0.0, 0.0, 1, 0))
    assert '"type":"network"' in channel.waiting[-1]  # one event per second, and never a stale one
    channel.waiting.clear()
    control.report(rendered(), 3000 * 300, None)
    assert '"rtp_timestamp":900000' in channel.waiting[0]
