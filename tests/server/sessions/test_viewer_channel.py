"""The rate limit of a viewer's messages, which applies before parsing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from server.protocol.states import ViewState
from server.sessions.session import Session
from server.sessions.viewer_channel import ViewerChannel


@dataclass
class FakeSession:
    """The parts of a session that a channel uses."""

    max_fps: float = 60.0
    views: list[ViewState] = field(default_factory=list)

    def set_view(self, view: ViewState) -> None:
        self.views.append(view)


def view(seq: int) -> str:
    eye = {"rotation": [0, 0, 0, 1], "position": [0.1, 0, 0.7]}
    return json.dumps({"type": "view", "seq": seq, "eye": eye})


def test_messages_above_the_rate_are_dropped_and_the_viewer_is_told() -> None:
    session = FakeSession()
    events: list[dict[str, Any]] = []
    channel = ViewerChannel(cast(Session, session), events.append)
    for seq in range(5000):
        channel.receive(view(seq))
    assert 240 <= len(session.views) < 1000
    assert channel.bad_messages == 5000 - len(session.views)
    detail = "expected at most 240 messages per second"
    assert events[0] == {"type": "error", "detail": detail}


def test_more_frames_permit_more_messages() -> None:
    session = FakeSession(max_fps=240.0)
    channel = ViewerChannel(cast(Session, session), lambda _: None)
    for seq in range(960):
        channel.receive(view(seq))
    assert len(session.views) == 960
