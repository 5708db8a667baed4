"""What a viewer is told of its frames while its connection takes nothing."""

from __future__ import annotations

from typing import Any, cast

from aiortc import RTCDataChannel

from server.sessions.network_figures import NetworkFigures
from server.sessions.session import Session
from server.transport.webrtc.control import EVENTS, Control
from tests.server.transport.webrtc.test_track import rendered


class StuckChannel:
    """An open data channel from which nothing goes out until the test says so."""

    def __init__(self) -> None:
        self.label, self.readyState = EVENTS, "open"
        self.waiting: list[str] = []

    @property
    def bufferedAmount(self) -> int:  # noqa: N802  # aiortc's name
        return sum(map(len, self.waiting))

    def send(self, text: str) -> None:
        self.waiting.append(text)


class Viewer:
    """As much of a session as its channels need."""

    id, max_fps, log_ids = "s", 30.0, dict[str, Any]()


def test_few_events_of_frames_wait_and_the_newest_is_the_first_one_afterwards() -> None:
    channel = StuckChannel()
    control = Control(cast("Session", Viewer()), lambda: None)
    control.attach(cast("RTCDataChannel", channel))
    for number in range(300):  # ten seconds
        control.report(rendered(), 3000 * number, None)
    assert 5 <= len(channel.waiting) <= 20
    control.report_network(NetworkFigures(1_000_000, 0.0, 0.0, 0.0, 1, 0))
    assert '"type":"network"' in channel.waiting[-1]  # told once a second, and never stale
    channel.waiting.clear()
    control.report(rendered(), 3000 * 300, None)
    assert '"rtp_timestamp":900000' in channel.waiting[0]
