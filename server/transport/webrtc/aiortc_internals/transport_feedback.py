"""Number the packets of an aiortc transport, pace its video, and read the feedback on them.

aiortc writes and reads the number as a header extension, but neither negotiates it nor has numbers,
and it drops a whole compound packet of RTCP for the reports in it: their padding (RFC 3550, section
6.4.1) leaves a length that it refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct, unpack_from

from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_HEADER_LENGTH, RTCP_RTPFB, RTP_HISTORY_SIZE, HeaderExtensions, is_rtcp
from aiortc.utils import uint16_gt

from server.transport.webrtc.aiortc_internals.header_extensions import add_header_extension

TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
"""A number of each packet of a transport, whatever its source."""
LOWER_LAYERS = 8 + 20 + 10
"""Bytes of UDP, IPv4 and the tag of SRTP, which are on the wire too."""
_FORMAT = 15  # of transport-layer feedback (RTPFB): transport-wide numbers
_SOURCES = 8  # bytes of the two SSRCs in front of the report (RFC 4585, section 6.1)
_ONE_BYTE_PROFILE = 0xBEDE  # RFC 8285, section 4.2
_NUMBER = Struct("!H")
_EXTENSIONS_MAP = "_RTCRtpSender__rtp_header_extensions_map"
_RTX_TYPE = "_RTCRtpSender__rtx_payload_type"


@dataclass(frozen=True)
class TransportEvents:
    """Callbacks of a transport. All run on the event loop and must not raise."""

    wait_s: Callable[[], float]
    """Returns the seconds until the next packet of the video may leave."""
    may_retransmit: Callable[[], bool]
    """Whether a packet that was lost may be sent again now."""
    sending: Callable[[int, int, int | None], int]
    """A packet leaves now: bytes on the wire; how many of them an encoder made, 0 for one that was
    sent before; the probe that it belongs to. Returns its number."""
    reported: Callable[[bytes], None]
    """The control information of a report has arrived."""


def enable_transport_numbers() -> None:
    """Make every later connection negotiate the extension if it is offered."""
    for kind in ("video", "audio"):
        add_header_extension(kind, TRANSPORT_CC_URI)


class NumberedTransport:
    """The transport of a video, with the packets of all its senders numbered.

    Must be made after the transport is final, and before the senders are observed and the
    connection is established.

    Args:
        video: Sends the video; its packets are paced.
        numbered: All senders whose packets carry a number.
        extension_id: Id of the header extension that holds the number, as negotiated.
        events: Called from now on.
    """

    def __init__(
        self,
        video: RTCRtpSender,
        numbered: list[RTCRtpSender],
        extension_id: int,
        events: TransportEvents,
    ) -> None:
        self._video, self._events, self._extension_id = video, events, extension_id
        self._newest: int | None = None
        self._probe: int | None = None
        for sender in numbered:
            _leave_room_for_number(sender)
        transport = video.transport
        self._send_rtp, self._handle_rtcp = transport._send_rtp, transport._handle_rtcp_data
        self._retransmit = video._retransmit
        transport._send_rtp = self._send  # type: ignore[method-assign]
        transport._handle_rtcp_data = self._receive  # type: ignore[method-assign]
        video._retransmit = self._retransmit_in_time  # type: ignore[method-assign]

    @property
    def can_probe(self) -> bool:
        """Whether packets can be sent again under new numbers, so that receivers count them."""
        return self._newest is not None and getattr(self._video, _RTX_TYPE) is not None

    async def send_probe(self, probe: int, packet: int) -> int:
        """Send one of the last packets again.

        Args:
            probe: Which probe it belongs to.
            packet: Any number, different for those of a probe.

        Returns:
            Its bytes on the wire; 0 if there is none.
        """
        assert self._newest is not None, "nothing was sent yet"
        history = self._video._RTCRtpSender__rtp_history  # type: ignore[attr-defined]
        # Of the newer half of the history: frames overwrite the older one while a probe is sent.
        number = (self._newest - packet % min(len(history), RTP_HISTORY_SIZE // 2)) & 0xFFFF
        self._probe, self._probed = probe, 0
        try:
            await self._retransmit(number)  # calls `_send` before its first await
        finally:
            self._probe = None
        return self._probed

    async def _send(self, data: bytes) -> None:
        if is_rtcp(data):
            await self._send_rtp(data)
            return
        number, ssrc = unpack_from("!H4xL", data, 2)
        of_frame = ssrc == self._video._ssrc and self._is_new(number)
        if of_frame:
            while (wait_s := self._events.wait_s()) > 0:
                await asyncio.sleep(wait_s)
            self._newest = number
        await self._send_rtp(self._numbered(data, of_frame=of_frame))

    def _is_new(self, number: int) -> bool:
        """Whether a packet of the video is not a retransmission, which must not wait.

        aiortc sends retransmissions from the task that reads the reports.
        """
        return self._newest is None or uint16_gt(number, self._newest)

    def _numbered(self, data: bytes, *, of_frame: bool) -> bytes:
        place, header = _find_extension(data, self._extension_id)
        if place is None:
            return data
        size = len(data) + LOWER_LAYERS
        if self._probe is not None:
            self._probed = size
        media = len(data) - header if of_frame else 0
        number = self._events.sending(size, media, self._probe)
        return data[:place] + _NUMBER.pack(number) + data[place + _NUMBER.size :]

    async def _retransmit_in_time(self, sequence_number: int) -> None:
        if self._events.may_retransmit():
            await self._retransmit(sequence_number)

    async def _receive(self, data: bytes) -> None:
        try:
            packets = list(_split(data))
        except ValueError:
            packets = [data]  # aiortc refuses it itself
        others = b""
        for packet in packets:
            if packet[1] == RTCP_RTPFB and packet[0] & 0x1F == _FORMAT:
                self._events.reported(packet[RTCP_HEADER_LENGTH + _SOURCES :])
            else:
                others += packet
        if others:
            await self._handle_rtcp(others)


def _leave_room_for_number(sender: RTCRtpSender) -> None:
    """Make a sender write a number of 0 into each packet, to be replaced when it leaves."""
    extensions = getattr(sender, _EXTENSIONS_MAP)
    write = extensions.set

    def with_number(values: HeaderExtensions) -> tuple[int, bytes]:
        values.transport_sequence_number = 0
        written: tuple[int, bytes] = write(values)
        return written

    extensions.set = with_number


def _find_extension(data: bytes, extension_id: int) -> tuple[int | None, int]:
    """Return where the value of an extension begins, if the packet has it, and the payload."""
    # 12 bytes, then 4 for each contributing source; bit 4 announces extensions (RFC 3550, 5.1).
    place = 12 + 4 * (data[0] & 0x0F)
    if not data[0] & 0x10:
        return None, place
    profile, words = unpack_from("!HH", data, place)
    place, end = place + 4, place + 4 + 4 * words
    while profile == _ONE_BYTE_PROFILE and place < end:
        if data[place] >> 4 == extension_id:
            return place + 1, end
        # An id and the length less one share a byte; a byte of zero is padding.
        place += 2 + (data[place] & 0x0F) if data[place] else 1
    return None, end


def _split(data: bytes) -> Iterator[bytes]:
    """Return the packets of a compound packet of RTCP.

    Raises:
        ValueError: If its lengths do not add up.
    """
    while data:
        if len(data) < RTCP_HEADER_LENGTH:
            raise ValueError("the header of an RTCP packet is truncated")
        (words,) = unpack_from("!H", data, 2)
        size = RTCP_HEADER_LENGTH + 4 * words
        if len(data) < size:
            raise ValueError("an RTCP packet is truncated")
        yield data[:size]
        data = data[size:]
