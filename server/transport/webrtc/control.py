"""The data channels: views and mesh frames are received, `frame` events are sent."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCDataChannel

from server.pool.frame import Frame
from server.sessions.session import Session
from server.sessions.viewer_channel import ViewerChannel, frame_event
from server.transport.webrtc.clock import frame_clock

logger = logging.getLogger(__name__)

VIEW = "view"
EVENTS = "events"
_FULL_BUFFER = 64 * 1024
"""Buffered bytes above which events are dropped, because the viewer does not read them."""


class Control:
    """Both data channels of one session.

    Args:
        session: Receives the views and mesh frames.
        on_keepalive: Called for every message.
    """

    def __init__(self, session: Session, on_keepalive: Callable[[], None]) -> None:
        self._session = session
        self._channel = ViewerChannel(session, self.send)
        self._note_keepalive = on_keepalive
        self._events: RTCDataChannel | None = None

    def attach(self, channel: RTCDataChannel) -> None:
        """Use a channel that the browser has opened, by its label."""
        if channel.label == VIEW:
            channel.on("message", self.receive)
        elif channel.label == EVENTS:
            self._events = channel
        else:
            session = self._session
            logger.info(
                "session %s: no use for channel %r",
                session.id,
                channel.label,
                extra=session.log_ids,
            )
            channel.close()

    def receive(self, text: str | bytes) -> None:
        """Handle one message of the viewer; an invalid one gets an error event. Never raises."""
        self._note_keepalive()
        self._channel.receive(text)

    def report(self, frame: Frame, rtp_timestamp: int) -> None:
        """Send the `frame` event of a frame: its view, stages and clock."""
        event = frame_event(frame)
        self.send(
            event
            | {
                "rtp_timestamp": rtp_timestamp,
                "convert_ms": round(frame.convert_ms, 2),
                "clock_ms": frame_clock(frame, time.monotonic()),
            }
        )

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event; it is dropped while there is no open channel, or one that is full."""
        channel = self._events
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount <= _FULL_BUFFER:
            channel.send(json.dumps(event, separators=(",", ":")))
