"""One viewer's WebRTC connection, by aiortc: the `Peer` that sessions are opened with."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs import CODECS
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.sdp import MediaDescription, SessionDescription

from server.encoding.codecs import Codec, choose_codec
from server.encoding.h264 import H264Encoder, OpenCodec, default_bitrate
from server.encoding.rate import RateControl
from server.errors import BadOfferError, IceRestartError
from server.network.addresses import Reachability
from server.network.ice_servers import IceServers
from server.sessions.session import Session
from server.transport.webrtc.aiortc_internals.candidate_gathering import as_aiortc, gather_within
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.playout_delay import enable_playout_delay
from server.transport.webrtc.aiortc_internals.sender_events import SenderEvents, observe_sender
from server.transport.webrtc.aiortc_internals.unused_receiver import drop_bandwidth_estimator
from server.transport.webrtc.control import Control
from server.transport.webrtc.ice import parse_fragment, without_hidden_candidates
from server.transport.webrtc.track import RenderTrack, Vp8Passthrough

logger = logging.getLogger(__name__)

_RTX = "video/rtx"
_LOWEST_BITRATE = 400_000
_CHECK_S = 0.5
HANDSHAKE_S = 4.0
"""Seconds from the answer until ICE and DTLS must be complete. A viewer takes well below one, with
TURN about two; a session whose handshake never ends keeps its slot from others."""
_AIORTC_ERRORS = (
    *(AssertionError, AttributeError, LookupError, RuntimeError, StopIteration, TypeError),
    ValueError,
)
"""aiortc does not validate offers, and raises one of these for missing or malformed parts."""


@dataclass(frozen=True)
class PeerOptions:
    """Options that all viewers share."""

    fps: float
    """Maximum frames per second."""
    codecs: tuple[Codec, ...]
    """The preferred one first."""
    open_h264: OpenCodec
    start_bitrate: int | None
    """Bits per second; None for the default of the frame size."""
    highest_bitrate: int
    """Bits per second."""
    silence_s: float
    """Seconds without views and RTCP after which the viewer counts as disconnected."""
    ice_servers: IceServers
    """STUN and TURN servers."""
    reach: Reachability
    """Advertised address and UDP ports of this machine."""


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
        enable_loopback_fallback()
        # Never left out: by default aiortc queries a public STUN server, and waits if offline.
        servers = as_aiortc(options.ice_servers.with_credentials_for("server"))
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._session = session
        self._options = options
        self._executor = executor
        self._ended = False
        self._last_keepalive_at = time.monotonic()
        self._control = Control(session, self._note_keepalive)
        self._track: RenderTrack | None = None
        self._encoder: H264Encoder | None = None
        side = session.avatar.resolution
        start = options.start_bitrate or default_bitrate(side, side)
        self._rate = RateControl(start, min(start, _LOWEST_BITRATE), options.highest_bitrate)
        self._remote_user: str | None = None
        self._watch: asyncio.Task[None] | None = None
        self._handshake: asyncio.Task[None] | None = None

    async def answer(self, offer_sdp: str) -> str:
        """Answer the viewer's offer.

        Returns:
            The SDP answer, with all candidates of the server.

        Raises:
            BadOfferError: If the offer cannot be parsed or has no video we could send.
        """
        offer = without_hidden_candidates(offer_sdp)
        video = _first_video(offer)
        self._remote_user = video.ice.usernameFragment if video.ice else None
        self._connection.on("datachannel", self._control.attach)
        self._connection.on("connectionstatechange", self._connection_changed)
        try:
            sender = self._offer_video(video)
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            self._listen(sender)  # only now, because bundling has replaced its transport
            gather_within(self._connection, self._options.reach)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except (InvalidAccessError, InvalidStateError, OperationError, ValueError) as exc:
            raise BadOfferError(f"expected an offer we can answer, got one where: {exc}") from exc
        except _AIORTC_ERRORS as exc:
            raise BadOfferError(
                "expected an offer with ICE credentials, a DTLS role and fingerprint, a direction "
                f"and a mid in every section, got one that lacks some ({exc})"
            ) from exc
        self._watch = asyncio.create_task(self._end_when_silent())
        self._handshake = asyncio.create_task(self._end_unless_connected())
        return self._connection.localDescription.sdp

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Add candidates of the viewer (trickle ICE).

        Raises:
            BadOfferError: If they cannot be parsed.
            IceRestartError: If they belong to another ICE user than the offer.
        """
        fragment = parse_fragment(sdp_fragment)
        if fragment.user not in (None, self._remote_user):
            raise IceRestartError("ICE restart is not supported: send a new offer instead")
        for candidate in fragment.candidates:
            await self._connection.addIceCandidate(candidate)

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
        if self._track is not None:
            self._track.stop()  # in case aiortc never started it
        self._track = self._encoder = None

    def _offer_video(self, video: MediaDescription) -> RTCRtpSender:
        """Answer with the first codec of the settings that the viewer has.

        Raises:
            BadOfferError: If it has none of them.
        """
        offered = {
            codec.mimeType for codec in find_common_codecs(CODECS["video"], video.rtp.codecs)
        }
        chosen = choose_codec(self._options.codecs, offered)
        if chosen is None:
            wanted = " or ".join(self._options.codecs)
            raise BadOfferError(f"expected an offer of {wanted}, got {_names(video)}")
        self._track = RenderTrack(
            self._session,
            self._build_encoder() if chosen is Codec.H264 else Vp8Passthrough(),
            self._executor,
            self._video_failed,
        )
        transceiver = self._connection.addTransceiver(self._track, direction="sendonly")
        drop_bandwidth_estimator(transceiver)
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted_types = (chosen.mime_type, _RTX)
        transceiver.setCodecPreferences([c for c in known if c.mimeType in wanted_types])
        return transceiver.sender

    def _build_encoder(self) -> H264Encoder:
        side = self._session.avatar.resolution
        self._encoder = H264Encoder(
            side,
            side,
            fps=self._options.fps,
            bitrate=self._rate.target,
            highest_bitrate=self._options.highest_bitrate,
            open_codec=self._options.open_h264,
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
                rtcp_received=self._note_keepalive,
            ),
        )

    def _packet_sent(self, rtp_timestamp: int, ends_frame: bool, size: int) -> None:
        self._rate.note_sent(size, time.monotonic())
        self._session.note_sent(size)
        if ends_frame and self._track is not None and self._track.newest is not None:
            self._session.note_stage("encode", self._track.newest.stages_ms["encode"])
            self._control.report(self._track.newest, rtp_timestamp)

    def _key_frame_requested(self) -> None:
        if self._track is not None:
            self._track.request_key_frame()

    def _bandwidth_estimated(self, bitrate: int) -> None:
        target = self._rate.note_estimate(bitrate, time.monotonic())
        if self._encoder is not None:
            self._encoder.bitrate = self._session.target_bitrate = target

    def _note_keepalive(self) -> None:
        self._last_keepalive_at = time.monotonic()

    def _video_failed(self, reason: Exception) -> None:
        self._end(f"no more video: {reason}")

    def _connection_changed(self) -> None:
        if self._connection.connectionState == "connected":
            self._session.handshake_complete()
        if self._connection.connectionState in ("failed", "closed"):
            self._end(f"the connection {self._connection.connectionState}")

    async def _end_when_silent(self) -> None:
        """End the session after a silence: a closed tab sends nothing, and ICE needs 31 s."""
        while time.monotonic() - self._last_keepalive_at < self._options.silence_s:
            await asyncio.sleep(_CHECK_S)
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


def _names(video: MediaDescription) -> str:
    names = dict.fromkeys(codec.mimeType.removeprefix("video/") for codec in video.rtp.codecs)
    return ", ".join(names) or "no codec"


def _first_video(offer: str) -> MediaDescription:
    """Return the first video section; refuse offers that do not receive video."""
    try:
        description = SessionDescription.parse(offer)
    except _AIORTC_ERRORS as exc:
        raise BadOfferError(f"expected an SDP offer, got {offer[:60]!r}") from exc
    videos = [media for media in description.media if media.kind == "video"]
    if not videos or videos[0].direction not in ("recvonly", "sendrecv"):
        got = videos[0].direction if videos else "none"
        raise BadOfferError(f"expected an offer with a recvonly video section, got {got}")
    return videos[0]
