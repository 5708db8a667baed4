"""What a viewer says and is told, whichever channel carries it: a data channel or a socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from server.errors import BadMessageError
from server.pool.frame import Frame
from server.protocol.decode import decode_mesh, decode_view
from server.protocol.messages import Ping, View, parse_viewer_message
from server.sessions.session import Session

_LONGEST_MESSAGE = 256 * 1024
"""Characters; above the vertices of any avatar that fits one SCTP message."""
_ERROR_INTERVAL_S = 0.2
"""A page that sends rubbish at 60 Hz is told five times a second."""


class ViewerChannel:
    """Takes the messages of one viewer.

    Args:
        session: Gets the views and faces.
        tell: Sends an event to the viewer, or drops it; must not raise.
    """

    def __init__(self, session: Session, send_event: Callable[[dict[str, Any]], None]) -> None:
        self.bad_messages = 0
        self._session = session
        self._tell = send_event
        self._last_error_at = float("-inf")

    def receive(self, text: str | bytes) -> None:
        """Take one message. A bad one is answered; it never raises."""
        received_at = time.monotonic()
        try:
            if len(text) > _LONGEST_MESSAGE:
                raise BadMessageError(
                    f"expected at most {_LONGEST_MESSAGE} characters, got {len(text)}"
                )
            message = parse_viewer_message(text)
            if isinstance(message, Ping):
                self._tell(pong(message, received_at, self._session.most_fps))
            elif isinstance(message, View):
                self._session.set_view(decode_view(message, received_at))
            else:
                mesh = decode_mesh(message, self._session.avatar, received_at)
                self._session.set_mesh(mesh)
        except BadMessageError as exc:
            self._refuse(str(exc))

    def _refuse(self, detail: str) -> None:
        self.bad_messages += 1
        now = time.monotonic()
        if now - self._last_error_at >= _ERROR_INTERVAL_S:
            self._last_error_at = now
            self._tell({"type": "error", "detail": detail})


def pong(ping: Ping, received_at: float, fps: float) -> dict[str, Any]:
    """Answer a ping with our clock, by which `clock_ms` of a frame's event goes, and our pace.

    Args:
        ping: Its clock goes back as it came.
        received_at: `time.monotonic()`, seconds.
        fps: Most frames a second, for which views are worth sending.
    """
    return {
        "type": "pong",
        "sent_at_ms": ping.sent_at_ms,
        "received_at_ms": round(received_at * 1e3, 2),
        "fps": fps,
    }


def frame_event(frame: Frame) -> dict[str, Any]:
    """Return the event that describes an encoded frame; the transport adds which frame it is."""
    state = frame.inputs.state
    return {
        "type": "frame",
        "view_seq": frame.view_seq,
        "mesh_seq": frame.mesh_seq,
        # For late reprojection, which follows the eye until the next frame.
        "head": {
            "rotation": [round(float(value), 5) for value in state.head_rotation],
            "translation": [round(float(value), 5) for value in state.head_translation],
        },
        "view_sent_at_ms": frame.view_sent_at_ms,
        "cache_age_ms": round(frame.cache_age_ms, 2),
        "stages_ms": {stage: round(ms, 2) for stage, ms in frame.stages_ms.items()},
    }
