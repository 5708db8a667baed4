"""One publisher's WebRTC connection: receives the voice of a stream, and its mesh frames."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.rtp import RtpPacket

from server.errors import (
    BadMessageError,
    StreamClosedError,
    TelewarpError,
    TooLargeError,
)
from server.network.addresses import CandidatePolicy, Reachability
from server.network.ice_servers import IceServers
from server.protocol.message_rate import MessageRate
from server.publications.publications import Publication
from server.streams.publishing import FRAMES_PER_S
from server.streams.voice import VoicePacket
from server.transport.webrtc.accepted_sections import choose_data, choose_voice
from server.transport.webrtc.aiortc_internals.candidate_gathering import as_aiortc, gather_within
from server.transport.webrtc.aiortc_internals.capture_time import enable_capture_time
from server.transport.webrtc.aiortc_internals.connecting import allow_early_end
from server.transport.webrtc.aiortc_internals.dtls_ciphers import accept_rsa
from server.transport.webrtc.aiortc_internals.ice_checks import observe_checks
from server.transport.webrtc.aiortc_internals.inbound_limits import (
    PUBLISHER_DATAGRAMS_PER_S,
    limit_inbound,
)
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.payload_types import enable_payload_types
from server.transport.webrtc.aiortc_internals.voice_receiver import take_packets
from server.transport.webrtc.capture_times import CaptureTimes
from server.transport.webrtc.ice import RemoteCandidates
from server.transport.webrtc.negotiation import Negotiation
from server.transport.webrtc.offer import parse_offer
from server.transport.webrtc.silence import Silence
from server.transport.webrtc.trickle_ice import TrickleIce

logger = logging.getLogger(__name__)

MESH = "mesh"
PACKETS_PER_S = 200.0
"""Voice packets per second: browsers send 50, or 100 with packets of 10 ms."""
LARGEST_PACKET = 1275
"""Bytes of the largest frame of Opus (RFC 6716, section 3.4)."""
_FULL_BUFFER = 16 * 1024


@dataclass(frozen=True)
class PublisherOptions:
    """Options that all publishers share."""

    longest_message: int
    """Bytes of a mesh message."""
    silence_s: float
    """Seconds without packets and messages after which a publisher counts as disconnected, if its
    ICE checks have stopped too."""
    clock: Callable[[], float]
    """Returns seconds for this limit; must not advance while the server does not run."""
    ice_servers: IceServers
    """STUN and TURN servers."""
    reachability: Reachability
    """Advertised address and UDP ports of this machine."""
    candidates: CandidatePolicy
    """Addresses of publishers that may be contacted."""


class AiortcPublisher:
    """Answers a publisher's offer: voice by Opus, and a data channel `mesh` of mesh messages.

    Args:
        publication: Receives the packets and frames.
        options: Options that all publishers share.

    Ends the publication when the connection is lost, closed by the publisher, or silent.
    """

    def __init__(self, publication: Publication, options: PublisherOptions) -> None:
        enable_capture_time()
        enable_loopback_fallback()
        enable_payload_types()
        servers = as_aiortc(options.ice_servers.with_credentials_for("server"))
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        allow_early_end(self._connection)
        accept_rsa(self._connection)
        self._publication = publication
        self._options = options
        self._rate = MessageRate(PACKETS_PER_S, PACKETS_PER_S)
        self._capture_times = CaptureTimes()
        self._mesh_rate = MessageRate(FRAMES_PER_S, FRAMES_PER_S)
        self._trickle_ice: TrickleIce | None = None
        self._ended = False
        self._silence = Silence(options.silence_s, options.clock)
        self._silence.ice_check.restart()  # it may publish nothing for long
        self._watch: asyncio.Task[None] | None = None

    async def answer(self, offer_sdp: str) -> str:
        """Answer the publisher's offer.

        Returns:
            The SDP answer, with all candidates of the server; sections other than the voice and
            the data channels are rejected.

        Raises:
            BadOfferError: If the offer cannot be parsed or has no voice.
            StreamClosedError: If the publication ends meanwhile.
        """
        offer = parse_offer(offer_sdp)
        accepted = (choose_voice(offer), choose_data(offer))
        negotiation = Negotiation(offer, [section for section in accepted if section is not None])
        remote = RemoteCandidates(self._options.candidates)
        candidates = remote.of_offer(offer)
        self._trickle_ice = TrickleIce(self._connection, negotiation, remote)
        self._connection.on("datachannel", self._attach)
        self._connection.on("connectionstatechange", self._connection_changed)
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(negotiation.sdp, "offer")
            )
            self._listen()  # only now, because bundling has replaced its transport
            await self._trickle_ice.add(candidates)
            limit_inbound(self._connection, PUBLISHER_DATAGRAMS_PER_S)
            gather_within(self._connection, self._options.reachability)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except InvalidStateError as exc:
            raise StreamClosedError("the publication ended before its answer was ready") from exc
        self._watch = asyncio.create_task(self._end_when_silent())
        return negotiation.complete(self._connection.localDescription.sdp)

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Add candidates of the publisher (trickle ICE).

        Raises:
            BadOfferError: If they cannot be parsed.
            IceRestartError: If they belong to another ICE user than the offer.
        """
        assert self._trickle_ice is not None, "a publication's id is sent only with its answer"
        await self._trickle_ice.add_fragment(sdp_fragment)

    async def close(self) -> None:
        """End the connection; may be called more than once."""
        self._ended = True  # so that the publication is not ended again
        if self._watch is not None:
            self._watch.cancel()
        try:
            await self._connection.close()
        except AttributeError:
            # After a failed offer, aiortc stops parts that it never started.
            logger.info("publication %s: its connection was incomplete", self._publication.id)

    def _listen(self) -> None:
        (transceiver,) = self._connection.getTransceivers()
        take_packets(transceiver.receiver, self._take_voice, self._silence.keepalive.restart)
        observe_checks(transceiver.sender, self._silence.ice_check.restart)

    def _take_voice(self, packet: RtpPacket) -> None:
        self._silence.keepalive.restart()
        counters = self._publication.voice
        if not packet.payload:
            return  # padding, with which a browser probes the bandwidth
        # The length first, so that packets that cannot be Opus do not count against the rate.
        if len(packet.payload) > LARGEST_PACKET or not self._rate.take():
            counters.dropped += 1
            return
        counters.received += 1
        self._publication.stream.publish_voice(
            VoicePacket(
                packet.payload,
                packet.ssrc,
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                time.monotonic(),
                self._capture_times.of(packet),
            )
        )

    def _attach(self, channel: RTCDataChannel) -> None:
        if channel.label != MESH:
            logger.info(
                "publication %s: ignored unknown channel %r",
                self._publication.id,
                channel.label,
            )
            channel.close()
            return
        channel.on("message", lambda message: self._take_mesh(channel, message))

    def _take_mesh(self, channel: RTCDataChannel, message: str | bytes) -> None:
        self._silence.keepalive.restart()
        # Dropped and not refused, because a tracker that is too fast is no error, and its newest
        # frame still counts.
        if not self._mesh_rate.take():
            self._publication.mesh.drop()
            return
        try:
            self._check_length(message)
            self._publication.mesh.publish_message(message)
        except (BadMessageError, TooLargeError) as exc:
            self._mesh_rate.charge_bad(len(message))
            self._refuse(channel, exc)
        except StreamClosedError as exc:
            self._end(str(exc))

    def _check_length(self, message: str | bytes) -> None:
        # In bytes, as for WebSockets and NDJSON bodies; a character takes up to four.
        length = len(message.encode() if isinstance(message, str) else message)
        if length > self._options.longest_message:
            raise TooLargeError(
                f"expected a message of at most {self._options.longest_message} bytes, got {length}"
            )

    def _refuse(self, channel: RTCDataChannel, error: TelewarpError) -> None:
        """Send the error of a message, unless the publisher does not read."""
        if channel.readyState == "open" and channel.bufferedAmount <= _FULL_BUFFER:
            answer = {"type": "error", "detail": str(error), **self._publication.mesh.counts}
            channel.send(json.dumps(answer))

    async def _end_when_silent(self) -> None:
        await self._silence.wait_until_too_long()
        self._end(f"silent for {self._options.silence_s:g} s")

    def _connection_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._end(f"the connection {self._connection.connectionState}")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            logger.info("publication %s: %s", self._publication.id, reason)
            self._publication.end()
