"""What is said over the data channels: views and faces come in, facts about frames go out."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCDataChannel

from server.errors import BadMessageError
from server.intake import to_mesh_state, to_view_state
from server.messages import View, parse_viewer_message
from server.sessions import Session
from server.webrtc.track import EncodedFrame

logger = logging.getLogger(__name__)

VIEW = "view"
EVENTS = "events"
_LONGEST_MESSAGE = 256 * 1024
"""Characters; above the vertices of any avatar that fits one SCTP message."""
_ERROR_INTERVAL_S = 0.2
"""A page that sends rubbish at 60 Hz is told five times a second."""
_FULL_BUFFER = 64 * 1024
"""Bytes waiting for a viewer who does not take them; facts about frames are then left out."""


class Control:
    """Both data channels of one session.

    Args:
        session: Gets the views and faces.
        sign_of_life: Called for every message.
    """

    def __init__(self, session: Session, sign_of_life: Callable[[], None]) -> None:
        self.bad_messages = 0
        self._session = session
        self._sign_of_life = sign_of_life
        self._events: RTCDataChannel | None = None
        self._last_error_at = float("-inf")

    def attach(self, channel: RTCDataChannel) -> None:
        """Use a channel the browser has opened, by its label."""
        if channel.label == VIEW:
            channel.on("message", self.receive)
        elif channel.label == EVENTS:
            self._events = channel
        else:
            logger.info("session %s: no use for channel %r", self._session.id, channel.label)
            channel.close()

    def receive(self, text: str | bytes) -> None:
        """Take one message of the viewer. A bad one is answered; it never raises."""
        self._sign_of_life()
        received_at = time.monotonic()
        try:
            if len(text) > _LONGEST_MESSAGE:
                raise BadMessageError(
                    f"expected at most {_LONGEST_MESSAGE} characters, got {len(text)}"
                )
            message = parse_viewer_message(text)
            if isinstance(message, View):
                self._session.set_view(to_view_state(message, received_at))
            else:
                mesh = to_mesh_state(message, self._session.avatar, received_at)
                self._session.set_mesh(mesh)
        except BadMessageError as exc:
            self._refuse(str(exc))

    def report(self, frame: EncodedFrame, rtp_timestamp: int) -> None:
        """Tell the viewer which view a frame shows and how it came about."""
        rendered = frame.rendered
        self._send(
            {
                "type": "frame",
                "view_seq": rendered.view_seq,
                "mesh_seq": rendered.mesh_seq,
                "view_sent_at_ms": rendered.view_sent_at_ms,
                "rtp_timestamp": rtp_timestamp,
                "cache_age_ms": round(rendered.cache_age_ms, 2),
                "stages_ms": {
                    stage: round(ms, 2)
                    for stage, ms in (*rendered.stages_ms.items(), ("encode", frame.encode_ms))
                },
            }
        )

    def _refuse(self, detail: str) -> None:
        self.bad_messages += 1
        now = time.monotonic()
        if now - self._last_error_at >= _ERROR_INTERVAL_S:
            self._last_error_at = now
            self._send({"type": "error", "detail": detail})

    def _send(self, event: dict[str, Any]) -> None:
        channel = self._events
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount <= _FULL_BUFFER:
            channel.send(json.dumps(event, separators=(",", ":")))
