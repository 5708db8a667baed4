"""One viewer's WebRTC connection, by aiortc: the `Peer` that sessions are opened with."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from server.encoding.codecs import Codec
from server.encoding.h264 import H264Encoder, OpenCodec, default_bitrate
from server.encoding.rate import RateControl
from server.errors import SessionClosedError
from server.network.addresses import CandidatePolicy, Reachability
from server.network.ice_servers import IceServers
from server.protocol.states import MeshState
from server.sessions.network_figures import NetworkFigures
from server.sessions.session import Session
from server.streams.voice import VoicePacket
from server.transport.webrtc.accepted_sections import (
    AcceptedSection,
    choose_audio,
    choose_data,
    choose_video,
)
from server.transport.webrtc.aiortc_internals.candidate_gathering import as_aiortc, gather_within
from server.transport.webrtc.aiortc_internals.connecting import allow_early_end
from server.transport.webrtc.aiortc_internals.dtls_ciphers import accept_rsa
from server.transport.webrtc.aiortc_internals.ice_checks import observe_checks
from server.transport.webrtc.aiortc_internals.inbound_limits import (
    VIEWER_DATAGRAMS_PER_S,
    limit_inbound,
)
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.payload_types import enable_payload_types
from server.transport.webrtc.aiortc_internals.playout_delay import enable_playout_delay
from server.transport.webrtc.aiortc_internals.sender_events import SenderEvents, observe_sender
from server.transport.webrtc.aiortc_internals.sender_reports import report_media_time
from server.transport.webrtc.aiortc_internals.transport_feedback import enable_transport_numbers
from server.transport.webrtc.aiortc_internals.unused_receiver import drop_bandwidth_estimator
from server.transport.webrtc.aiortc_internals.voice_sender import send_packets
from server.transport.webrtc.congestion.control import CongestionControl
from server.transport.webrtc.control import Control
from server.transport.webrtc.ice import RemoteCandidates
from server.transport.webrtc.media_clock import FrameClock
from server.transport.webrtc.negotiation import Negotiation
from server.transport.webrtc.offer import parse_offer
from server.transport.webrtc.paced_sending import PacedSending
from server.transport.webrtc.silence import Silence
from server.transport.webrtc.track import RenderTrack, Vp8Passthrough, without_pacing
from server.transport.webrtc.trickle_ice import TrickleIce
from server.transport.webrtc.voice_forwarding import VoiceForwarder

logger = logging.getLogger(__name__)

_LOWEST_BITRATE = 400_000
"""Lower limit by the receiver's estimate (REMB), which is a rough one."""
_LOWEST_ESTIMATE = 100_000
"""Lower limit by transport-wide feedback: enough for few frames per second of a moving face, and
its voice."""
HANDSHAKE_S = 4.0
"""Seconds from the answer until ICE and DTLS must be complete. A viewer takes well below one, with
TURN about two; a session whose handshake never ends would otherwise keep its slot for ever."""


@dataclass(frozen=True)
class PeerOptions:
    """Options that all viewers share."""

    fps: float
    """Maximum frames per second."""
    codecs: tuple[Codec, ...]
    """The offered codecs, the preferred one first."""
    open_h264: Callable[[str], OpenCodec]
    """Returns what opens the H.264 encoder of frames that a device renders."""
    start_bitrate: int | None
    """Bits per second; None for the default of the frame size."""
    highest_bitrate: int
    """Bits per second."""
    silence_s: float
    """Seconds without views and RTCP after which the viewer counts as disconnected."""
    clock: Callable[[], float]
    """Returns seconds for this limit; must not advance while the server does not run."""
    ice_servers: IceServers
    """STUN and TURN servers."""
    reachability: Reachability
    """Advertised address and UDP ports of this machine."""
    candidates: CandidatePolicy
    """Addresses of viewers that may be contacted."""


class AiortcPeer:
    """Answers a viewer's offer with the session's video and both data channels.

    Args:
        session: Provides frames and receives views.
        options: Options that all viewers share.
        executor: Threads to encode in, shared by all viewers.

    Ends the session when the connection is lost, closed by the viewer, or silent.
    """

    def __init__(self, session: Session, options: PeerOptions, executor: Executor) -> None:
        enable_playout_delay()
        enable_transport_numbers()
        enable_loopback_fallback()
        enable_payload_types()
        # Never left out: by default aiortc queries a public STUN server, and waits if offline.
        servers = as_aiortc(options.ice_servers.with_credentials_for("server"))
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        allow_early_end(self._connection)
        accept_rsa(self._connection)
        self._session = session
        self._options = options
        self._executor = executor
        self._ended = False
        self._silence = Silence(options.silence_s, options.clock)
        self._control = Control(session, self._silence.keepalive.restart)
        self._track: RenderTrack | None = None
        self._encoder: H264Encoder | None = None
        self._start = options.start_bitrate or default_bitrate(*session.frame_size)
        lowest = min(self._start, _LOWEST_BITRATE)
        self._rate = RateControl(self._start, lowest, options.highest_bitrate)
        self._paced: PacedSending | None = None
        self._trickle_ice: TrickleIce | None = None
        self._watch: asyncio.Task[None] | None = None
        self._frame_clock = FrameClock(self._captured_at)
        self._voice: VoiceForwarder | None = None
        self._handshake: asyncio.Task[None] | None = None

    async def answer(self, offer_sdp: str) -> str:
        """Answer the viewer's offer.

        Returns:
            The SDP answer, with all candidates of the server.

        Raises:
            BadOfferError: If the offer cannot be parsed or has no video we could send.
            SessionClosedError: If the session ends meanwhile.
        """
        offer = parse_offer(offer_sdp)
        video, chosen = choose_video(offer, self._options.codecs)
        audio = choose_audio(offer, video.transport_cc)
        accepted = (video, audio, choose_data(offer))
        negotiation = Negotiation(offer, [section for section in accepted if section is not None])
        remote = RemoteCandidates(self._options.candidates)
        candidates = remote.of_offer(offer)
        self._trickle_ice = TrickleIce(self._connection, negotiation, remote)
        self._connection.on("datachannel", self._control.attach)
        self._connection.on("connectionstatechange", self._connection_changed)
        if video.transport_cc is not None:
            self._paced = PacedSending(self._congestion_control(), self._network_reported)
        sender = self._add_video(chosen.codec)
        if audio is not None and audio.direction == "recvonly":
            self._add_voice()
        description = RTCSessionDescription(negotiation.sdp, "offer")
        try:
            await self._connection.setRemoteDescription(description)
            # Before `_listen`, whose wrappers then see the packets as they leave.
            if self._paced is not None and video.transport_cc is not None:
                self._paced.attach(sender, self._numbered(sender, audio), video.transport_cc)
            self._listen(sender)  # only now, because bundling has replaced its transport
            await self._trickle_ice.add(candidates)
            limit_inbound(self._connection, VIEWER_DATAGRAMS_PER_S)
            gather_within(self._connection, self._options.reachability)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except InvalidStateError as exc:
            raise SessionClosedError("the session ended before its answer was ready") from exc
        self._watch = asyncio.create_task(self._end_when_silent())
        self._handshake = asyncio.create_task(self._end_unless_connected())
        return negotiation.complete(self._connection.localDescription.sdp)

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Add candidates of the viewer (trickle ICE).

        Raises:
            BadOfferError: If they cannot be parsed.
            IceRestartError: If they belong to another ICE user than the offer.
        """
        assert self._trickle_ice is not None, "a session's id is sent only with its answer"
        await self._trickle_ice.add_fragment(sdp_fragment)

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event over the channel `events`, or drop it while that is not open."""
        self._control.send(event)

    async def close(self) -> None:
        """End the connection; may be called more than once."""
        self._ended = True  # so that the session is not ended again
        for task in (self._watch, self._handshake):
            if task is not None:
                task.cancel()
        try:
            await self._connection.close()
        except AttributeError:
            # After a failed offer, aiortc stops parts that it never started.
            logger.info(
                "session %s: its connection was incomplete when it ended",
                self._session.id,
                extra=self._session.log_ids,
            )
        finally:
            if self._track is not None:
                self._track.stop()  # in case aiortc never started it
            if self._voice is not None:
                self._voice.close()
            if self._paced is not None:
                self._paced.close()
            self._track = self._encoder = None

    def _add_video(self, codec: Codec) -> RTCRtpSender:
        self._track = RenderTrack(
            self._session,
            self._build_encoder() if codec is Codec.H264 else Vp8Passthrough(),
            self._executor,
            self._video_failed,
            without_pacing if self._paced is None else self._paced.wait_for_room,
            self._frames_resized,
        )
        transceiver = self._connection.addTransceiver(self._track, direction="sendonly")
        drop_bandwidth_estimator(transceiver)
        return transceiver.sender

    def _add_voice(self) -> None:
        """Send the stream's voice, of the publisher that it has or will have."""
        self._voice = VoiceForwarder(
            self._session.stream.voice, self._captured_at, self._control.report_voice
        )
        transceiver = self._connection.addTransceiver("audio", direction="sendonly")
        send_packets(transceiver.sender, self._voice.next_packet)
        report_media_time(transceiver.sender, self._voice.clock.timestamp_at)

    def _congestion_control(self) -> CongestionControl:
        lowest = min(self._start, _LOWEST_ESTIMATE)
        return CongestionControl(self._start, lowest, self._options.highest_bitrate)

    def _numbered(self, video: RTCRtpSender, audio: AcceptedSection | None) -> list[RTCRtpSender]:
        """Return the senders whose packets share the numbers of the video's."""
        if audio is None or audio.transport_cc is None:
            return [video]
        senders = self._connection.getSenders()
        return [sender for sender in senders if sender.transport is video.transport]

    def _captured_at(self, what: MeshState | VoicePacket) -> float:
        clock = self._session.stream.capture_clock
        received_at = what.received_at if isinstance(what, MeshState) else what.arrived_at
        return clock.captured_at(what.captured_at_ms, received_at)

    def _build_encoder(self) -> H264Encoder:
        self._encoder = H264Encoder(
            *self._session.frame_size,
            fps=self._options.fps,
            bitrate=self._rate.target,
            highest_bitrate=self._options.highest_bitrate,
            open_codec=self._options.open_h264(self._session.slots.device),
        )
        self._session.target_bitrate = self._rate.target
        return self._encoder

    def _listen(self, sender: RTCRtpSender) -> None:
        observe_sender(
            sender,
            SenderEvents(
                packet_sent=self._packet_sent,
                key_frame_requested=self._key_frame_requested,
                bandwidth_estimated=self._bandwidth_estimated,
                rtcp_received=self._silence.keepalive.restart,
            ),
        )
        observe_checks(sender, self._silence.ice_check.restart)
        report_media_time(sender, self._frame_clock.timestamp_at)

    def _packet_sent(self, rtp_timestamp: int, ends_frame: bool, size: int) -> None:
        if self._silence.ice_checks_count:
            # A player without data channels that waits for its first frame can send ICE checks
            # only; from now on, it can answer with RTCP.
            self._silence.ice_checks_count = False
            self._silence.keepalive.restart()
        self._rate.note_sent(size, time.monotonic())
        self._session.note_sent(size)
        if ends_frame and self._track is not None and self._track.newest is not None:
            self._frame_clock.note_frame(rtp_timestamp, self._track.newest)
            self._session.note_stage("encode", self._track.newest.stages_ms["encode"])
            mesh = self._track.newest.inputs.mesh
            captured_at = self._captured_at(mesh) if mesh else None
            self._control.report(self._track.newest, rtp_timestamp, captured_at)

    def _frames_resized(self, width: int, height: int) -> None:
        """Let the bitrate follow the size of the frames, unless the operator has set it."""
        start = self._options.start_bitrate or default_bitrate(width, height)
        if start != self._start:
            self._start = start
            sending = self._rate if self._paced is None else self._paced
            self._aim_at(sending.expect(start))

    def _key_frame_requested(self) -> None:
        if self._track is not None:
            self._track.request_key_frame()

    def _bandwidth_estimated(self, bitrate: int) -> None:
        if self._paced is None:
            self._aim_at(self._rate.note_estimate(bitrate, time.monotonic()))

    def _network_reported(self, target: int, figures: NetworkFigures) -> None:
        self._silence.keepalive.restart()
        self._session.note_network(figures)
        self._control.report_network(figures)
        self._aim_at(target)

    def _aim_at(self, bitrate: int) -> None:
        if self._encoder is not None:
            self._encoder.bitrate = self._session.target_bitrate = bitrate

    def _video_failed(self, reason: Exception) -> None:
        self._end(f"no more video: {reason}")

    def _connection_changed(self) -> None:
        if self._connection.connectionState == "connected":
            self._session.handshake_complete()
        if self._connection.connectionState in ("failed", "closed"):
            self._end(f"the connection {self._connection.connectionState}")

    async def _end_when_silent(self) -> None:
        await self._silence.wait_until_too_long()
        self._end(f"silent for {self._options.silence_s:g} s")

    async def _end_unless_connected(self) -> None:
        await asyncio.sleep(HANDSHAKE_S)
        if not self._session.connected:
            self._end(f"no connection within {HANDSHAKE_S:g} s")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            session = self._session
            logger.info("session %s: %s", session.id, reason, extra=session.log_ids)
            self._session.end()
