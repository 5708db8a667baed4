"""Sends a viewer's video as fast as its network can carry it, by the viewer's reports."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from aiortc import RTCRtpSender

from server.errors import BadMessageError
from server.protocol.message_rate import MessageRate
from server.sessions.network_figures import NetworkFigures
from server.transport.webrtc.aiortc_internals.transport_feedback import (
    NumberedTransport,
    TransportEvents,
)
from server.transport.webrtc.congestion.control import CongestionControl
from server.transport.webrtc.congestion.feedback import parse_feedback
from server.transport.webrtc.congestion.probes import FEWEST_PACKETS

logger = logging.getLogger(__name__)

REPORTS_PER_S = 100.0
"""Browsers send at most 20; each costs up to a millisecond."""
_LONGEST_WAIT_S = 0.1
"""Maximum seconds to wait for room: without any report there is room after
`congestion.control._SILENCE_S`."""


class PacedSending:
    """The congestion control of one connection, attached to its senders.

    Args:
        control: Decides when and how much to send.
        on_report: Called after each report with the target of the encoder, bits per second, and
            the figures of the network.
    """

    def __init__(
        self, control: CongestionControl, on_report: Callable[[int, NetworkFigures], None]
    ) -> None:
        self._control = control
        self._on_report = on_report
        self._rate = MessageRate(REPORTS_PER_S, REPORTS_PER_S)
        self._reported = asyncio.Event()
        self._transport: NumberedTransport | None = None
        self._probing: asyncio.Task[None] | None = None

    def attach(self, video: RTCRtpSender, numbered: list[RTCRtpSender], extension_id: int) -> None:
        """Begin with the packets of a connection that is about to be established."""
        events = TransportEvents(
            wait_s=lambda: self._control.wait_s(time.monotonic()),
            may_retransmit=lambda: self._control.may_retransmit(time.monotonic()),
            sending=self._sending,
            reported=self._take_report,
        )
        self._transport = NumberedTransport(video, numbered, extension_id, events)

    async def wait_for_room(self) -> None:
        """Wait until the network has room for another frame."""
        while not self._control.has_room(time.monotonic()):
            self._reported.clear()
            try:
                async with asyncio.timeout(_LONGEST_WAIT_S):
                    await self._reported.wait()
            except TimeoutError:
                continue

    def expect(self, start: int) -> int:
        """Follow frames of another size.

        Args:
            start: First estimate of a connection with such frames, bits per second.

        Returns:
            The target of the encoder, bits per second.
        """
        now = time.monotonic()
        self._control.expect(start, now)
        return self._control.encoder_target(now)

    def close(self) -> None:
        """Stop probing."""
        if self._probing is not None:
            self._probing.cancel()

    def _sending(self, size: int, of_frame: int, probe: int | None) -> int:
        return self._control.sent(time.monotonic(), size, of_frame, probe)

    def _take_report(self, fci: bytes) -> None:
        if not self._rate.take():
            return
        now = time.monotonic()
        try:
            self._control.reported(parse_feedback(fci), now)
        except BadMessageError as exc:
            logger.info("ignored a malformed report of a viewer's network: %s", exc)
            return
        self._reported.set()
        self._on_report(self._control.encoder_target(now), self._control.figures)
        if self._transport is not None and self._transport.can_probe:
            self._probe(self._transport, now)

    def _probe(self, transport: NumberedTransport, now: float) -> None:
        if self._probing is not None and not self._probing.done():
            return
        begun = self._control.begin_probe(now)
        if begun is not None:
            self._probing = asyncio.create_task(_send_probe(transport, *begun))


async def _send_probe(transport: NumberedTransport, probe: int, bits_per_s: int, size: int) -> None:
    """Send a probe at its rate, regardless of the pacer."""
    began = time.monotonic()
    sent = packets = 0
    while sent < size or packets < FEWEST_PACKETS:
        try:
            sent += await transport.send_probe(probe, packets)
        except ConnectionError:
            return  # it has ended meanwhile
        packets += 1
        if not sent:
            return
        await asyncio.sleep(began + sent * 8 / bits_per_s - time.monotonic())
