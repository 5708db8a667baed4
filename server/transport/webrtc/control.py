"""The data channels: views and mesh frames are received, `frame` events are sent."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCDataChannel

from models.contract.shown_text import quoted
from server.pool.frame import Frame
from server.sessions.network_figures import NetworkFigures
from server.sessions.session import Session
from server.sessions.viewer_channel import ViewerChannel, frame_event

logger = logging.getLogger(__name__)

VIEW = "view"
EVENTS = "events"
_FULL_BUFFER = 64 * 1024
"""Buffered bytes above which events are dropped, because the viewer does not read them."""
_MOST_WAITING_FRAMES = 4 * 1024
"""Buffered bytes, ten events, above which a frame gets none. A viewer on a busy machine
acknowledges late: each event would come seconds after its frame, and never catch up."""

_VOICE_INTERVAL_S = 0.25
"""Seconds between `voice` events: in between, the page counts on by the RTP timestamps."""

_NETWORK_INTERVAL_S = 1.0
"""Seconds between `network` events; a person reads them."""


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
        self._voice_reported_at = float("-inf")
        self._network_reported_at = float("-inf")

    def attach(self, channel: RTCDataChannel) -> None:
        """Use a channel that the browser has opened, by its label."""
        if channel.label == VIEW:
            channel.on("message", self.receive)
        elif channel.label == EVENTS:
            self._events = channel
        else:
            session = self._session
            logger.info(
                "session %s: ignored unknown channel %s",
                session.id,
                quoted(channel.label),
                extra=session.log_ids,
            )
            channel.close()

    def receive(self, text: str | bytes) -> None:
        """Handle one message of the viewer; an invalid one gets an error event. Never raises."""
        self._note_keepalive()
        self._channel.receive(text)

    def report(self, frame: Frame, rtp_timestamp: int, captured_at: float | None) -> None:
        """Send the `frame` event of a frame, unless too many wait: its view, stages and clock.

        Args:
            frame: The encoded frame.
            rtp_timestamp: RTP timestamp of its packets.
            captured_at: When the mesh frame that it shows was captured, seconds.
        """
        if self._events is None or self._events.bufferedAmount > _MOST_WAITING_FRAMES:
            return
        event = frame_event(frame)
        self.send(
            event
            | {
                "rtp_timestamp": rtp_timestamp,
                "clock_ms": frame_clock(frame, time.monotonic(), captured_at),
            }
        )

    def report_voice(self, rtp_timestamp: int, captured_at: float) -> None:
        """Report the capture time of an RTP timestamp of the voice, but not for every packet.

        Args:
            rtp_timestamp: 48 kHz.
            captured_at: Seconds.
        """
        now = time.monotonic()
        if now - self._voice_reported_at < _VOICE_INTERVAL_S:
            return
        self._voice_reported_at = now
        captured_at_ms = round(captured_at * 1e3, 2)
        self.send(
            {"type": "voice", "rtp_timestamp": rtp_timestamp, "captured_at_ms": captured_at_ms}
        )

    def report_network(self, figures: NetworkFigures) -> None:
        """Send the figures of the network to the viewer, but not at every report."""
        now = time.monotonic()
        if now - self._network_reported_at >= _NETWORK_INTERVAL_S:
            self._network_reported_at = now
            self.send({"type": "network", **figures.as_json()})

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event; it is dropped while there is no open channel, or one that is full."""
        channel = self._events
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount <= _FULL_BUFFER:
            channel.send(json.dumps(event, separators=(",", ":")))


def frame_clock(frame: Frame, sent_at: float, captured_at: float | None) -> dict[str, float | None]:
    """Return when a frame passed each stage, by the server's clock.

    With it, and the pongs of `server/sessions/viewer_channel.py`, a page maps server times to its
    own clock, so that each network direction is measured and not guessed.

    Args:
        frame: The encoded frame.
        sent_at: When its last packet had gone out, seconds.
        captured_at: When the mesh frame that it shows was captured, seconds.

    Returns:
        `view_received`, `mesh_received` and `mesh_captured` (of what it shows, None where there is
        none), `drawn`, `encoded`, `sent`: `time.monotonic()` in milliseconds.
    """
    view, mesh = frame.inputs.view, frame.inputs.mesh
    moments = {
        "view_received": view.received_at if view else None,
        "mesh_received": mesh.received_at if mesh else None,
        "mesh_captured": captured_at,
        "drawn": frame.rendered_at,
        "encoded": frame.encoded_at,
        "sent": sent_at,
    }
    return {name: None if at is None else round(at * 1e3, 2) for name, at in moments.items()}
