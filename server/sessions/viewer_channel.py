"""Messages from and to a viewer, independent of the transport: a data channel or a WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from server.errors import BadMessageError
from server.pool.frame import Frame
from server.protocol.decode import decode_mesh, decode_view
from server.protocol.message_rate import MessageRate
from server.protocol.messages import Display, Ping, View, parse_viewer_message
from server.sessions.session import Session

_LONGEST_MESSAGE = 256 * 1024
"""Characters. More than the vertices of any avatar that fits into one SCTP message."""
_RATE_FACTOR = 4.0
"""Messages per frame: a view, a mesh frame, and room for pings and jitter."""
_LOWEST_RATE_PER_S = 240.0
"""Pages send views at the rate of their screen, up to 240 Hz, until a pong names the frame rate."""
_ERROR_INTERVAL_S = 0.2
"""Interval of error events. A client that sends invalid messages at 60 Hz gets five per second."""


class ViewerChannel:
    """Handles the messages of one viewer.

    Args:
        session: Receives the views and mesh frames.
        send_event: Sends an event to the viewer, or drops it; must not raise.
    """

    def __init__(self, session: Session, send_event: Callable[[dict[str, Any]], None]) -> None:
        self.bad_messages = 0
        self._session = session
        self._send_event = send_event
        self._last_error_at = float("-inf")
        self._per_s = max(_LOWEST_RATE_PER_S, _RATE_FACTOR * session.max_fps)
        self._rate = MessageRate(self._per_s, self._per_s)

    def receive(self, text: str | bytes) -> None:
        """Handle one message. An invalid one is answered with an error event; never raises."""
        # First, since a ping measures the network alone: parsing must not count in it.
        received_at = time.monotonic()
        # Before anything is parsed, because parsing is what a flood would make expensive.
        if not self._rate.take():
            return self._refuse(f"expected at most {self._per_s:g} messages per second")
        try:
            if len(text) > _LONGEST_MESSAGE:
                raise BadMessageError(
                    f"expected at most {_LONGEST_MESSAGE} characters, got {len(text)}"
                )
            message = parse_viewer_message(text)
            if isinstance(message, Ping):
                self._send_event(pong(message, received_at, self._session.max_fps))
            elif isinstance(message, View):
                self._session.set_view(decode_view(message, received_at))
            elif isinstance(message, Display):
                self._session.set_display(message.size_px, message.stills)
            else:
                mesh = decode_mesh(message, self._session.avatar, received_at)
                self._session.set_mesh(mesh)
        except BadMessageError as exc:
            self._rate.charge_bad(len(text))
            self._refuse(str(exc))

    def _refuse(self, detail: str) -> None:
        self.bad_messages += 1
        now = time.monotonic()
        if now - self._last_error_at >= _ERROR_INTERVAL_S:
            self._last_error_at = now
            self._send_event({"type": "error", "detail": detail})


def pong(ping: Ping, received_at: float, fps: float) -> dict[str, Any]:
    """Return the answer to a ping: the server's clock and frame rate.

    `clock_ms` of frame events refers to the same clock.

    Args:
        ping: Its `sent_at_ms` is returned unchanged.
        received_at: `time.monotonic()`, seconds.
        fps: Maximum frames per second; more views per second are of no use.
    """
    return {
        "type": "pong",
        "sent_at_ms": ping.sent_at_ms,
        "received_at_ms": round(received_at * 1e3, 2),
        "fps": fps,
    }


def frame_event(frame: Frame) -> dict[str, Any]:
    """Return the event that describes an encoded frame, without its id (added by the transport)."""
    state = frame.inputs.state
    return {
        "type": "frame",
        "view_seq": frame.view_seq,
        "mesh_seq": frame.mesh_seq,
        # For late reprojection, which applies newer views to this frame in the client.
        "head": {
            "rotation": [round(float(value), 5) for value in state.head_rotation],
            "translation": [round(float(value), 5) for value in state.head_translation],
        },
        "view_sent_at_ms": frame.view_sent_at_ms,
        "cache_age_ms": round(frame.cache_age_ms, 2),
        "stages_ms": {stage: round(ms, 2) for stage, ms in frame.stages_ms.items()},
        **({} if frame.still is None else {"still": frame.still}),
        **({} if frame.lowered_from is None else {"lowered_from": frame.lowered_from}),
    }
