"""A viewer's session with aiortc as the browser: offer, video, views, events, end."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci
from av import VideoFrame

from models.contract.images import layered_rows
from server.pool.fake import Shown, decode_image
from server.transport.webrtc import peer
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.playout_delay import (
    PLAYOUT_DELAY_URI,
    enable_playout_delay,
)
from tests.server.conftest import Served

SDP = {"Content-Type": "application/sdp"}
NAL_STAP_A, NAL_SPS = 24, 7
SOON_S = 10.0
IDLE_SESSION_S = 2.5
"""The setting of `served`, seconds."""


class Viewer:
    """A viewer: receives the video, sends views, stores the events."""

    def __init__(self, http: httpx2.AsyncClient, codec: str | None = None) -> None:
        enable_playout_delay()
        enable_loopback_fallback()
        self.http = http
        self.address, self.query = "", ""
        self.answer = ""
        self.events: list[dict[str, Any]] = []
        self.images: list[Shown] = []
        self.size = 0, 0
        self.packets: list[RtpPacket] = []
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self.connection.addTransceiver("video", direction="recvonly")
        if codec is not None:
            known = RTCRtpReceiver.getCapabilities("video")
            assert known is not None
            transceiver.setCodecPreferences([c for c in known.codecs if c.mimeType == codec])
        self.receiver = transceiver.receiver
        self.view_channel = self.connection.createDataChannel(
            "view", ordered=False, maxRetransmits=0
        )
        events = self.connection.createDataChannel("events")
        events.on("message", lambda text: self.events.append(json.loads(text)))
        self._watch_packets()
        self._receiving: asyncio.Task[None] | None = None

    async def join(self, stream: str) -> httpx2.Response:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await self.http.post(
            f"/v1/streams/{stream}/whep{self.query}",
            content=self.connection.localDescription.sdp,
            headers=SDP,
        )
        if response.status_code == 201:
            self.address = response.headers["location"]
            self.answer = response.text
            description = RTCSessionDescription(response.text, "answer")
            await self.connection.setRemoteDescription(description)
            self._receiving = asyncio.create_task(self._receive())
        return response

    async def watch(self, stream: str) -> None:
        assert (await self.join(stream)).status_code == 201
        await self.until(lambda: self.view_channel.readyState == "open" and bool(self.images))

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < deadline, f"{self.images[-3:]} {self.events[-3:]}"
            await asyncio.sleep(0.01)

    async def until_ended(self) -> None:
        deadline = time.monotonic() + SOON_S
        while (await self.http.get(self.address)).status_code == 200:
            assert time.monotonic() < deadline, "the session has not ended"
            await asyncio.sleep(0.05)

    def send_view(self, seq: int, eye_x: float) -> None:
        eye = {"rotation": [0, 0, 0, 1], "position": [eye_x, 0, 0.7]}
        self.send({"type": "view", "seq": seq, "sent_at_ms": 10.5 * seq, "eye": eye})

    async def estimate(self, bitrate: int) -> None:
        """Report the estimated bandwidth (REMB), bits per second."""
        sender = self.packets[-1].ssrc
        remb = RtcpPsfbPacket(
            fmt=RTCP_PSFB_APP, ssrc=0, media_ssrc=0, fci=pack_remb_fci(bitrate, [sender])
        )
        await self.receiver.transport._send_rtp(bytes(remb))

    def send(self, message: object) -> None:
        self.view_channel.send(json.dumps(message))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def shows(self, jaw_open: float, eye_x: float) -> bool:
        """Return whether the newest image shows this state, within the error of the codec."""
        if not self.images:
            return False
        newest = self.images[-1]
        return abs(newest.jaw_open - jaw_open) < 0.04 and abs(newest.eye_x - eye_x) < 0.08

    @property
    def key_frames(self) -> list[int]:
        return [packet.timestamp for packet in self.packets if _starts_key_frame(packet.payload)]

    def drop_outgoing(self) -> None:
        """Drop all outgoing datagrams, including the closing of DTLS."""
        transport = self.receiver.transport.transport
        for protocol in transport._connection._protocols:
            # Replaced on this transport only.
            protocol.transport.sendto = lambda *_: None  # type: ignore[method-assign]  # drops all

    async def leave(self) -> None:
        await self.connection.close()
        if self._receiving is not None:
            self._receiving.cancel()
            with suppress(asyncio.CancelledError):
                await self._receiving

    async def _receive(self) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await self.receiver.track.recv()
                assert isinstance(frame, VideoFrame)
                rgb = frame.to_ndarray(format="rgb24")
                self.size = frame.width, frame.height
                # The upper square of a layered frame.
                self.images.append(decode_image(_without_edges(rgb[: frame.width])))

    def _watch_packets(self) -> None:
        handle = self.receiver._handle_rtp_packet

        async def watch(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.packets.append(packet)
            await handle(packet, arrival_time_ms)

        self.receiver._handle_rtp_packet = watch  # type: ignore[method-assign]  # counts packets


def _without_edges(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return rgb[8:-8, 8:-8]


def _starts_key_frame(payload: bytes) -> bool:
    kind = payload[0] & 0x1F
    return kind == NAL_SPS or (kind == NAL_STAP_A and payload[3] & 0x1F == NAL_SPS)


@pytest.fixture
async def client(http: httpx2.Client) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=http.base_url, timeout=10) as client:
        yield client


@asynccontextmanager
async def a_viewer(client: httpx2.AsyncClient, codec: str | None = None) -> AsyncIterator[Viewer]:
    viewer = Viewer(client, codec)
    try:
        yield viewer
    finally:
        await viewer.leave()
        if viewer.address:
            await viewer.until_ended()


async def publish(client: httpx2.AsyncClient, stream: str, seq: int, jaw_open: float) -> None:
    body = {"seq": seq, "expression": {"jawOpen": jaw_open}}
    assert (await client.post(f"/v1/streams/{stream}/frames", json=body)).status_code == 202


async def test_a_viewer_gets_the_published_face_from_its_own_view(
    client: httpx2.AsyncClient, stream: str
) -> None:
    await publish(client, stream, 1, jaw_open=0.5)
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.5, 0.4))
        await publish(client, stream, 2, jaw_open=0.9)
        await viewer.until(lambda: viewer.shows(0.9, 0.4))


async def test_every_frame_has_an_event_with_its_rtp_timestamp(
    client: httpx2.AsyncClient, stream: str
) -> None:
    await publish(client, stream, 7, jaw_open=0.5)
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send_view(3, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.5, 0.4) and len(viewer.of_type("frame")) > 10)
        sent = {packet.timestamp for packet in viewer.packets[:-5]}
        told = {event["rtp_timestamp"]: event for event in viewer.of_type("frame")}
    # The events channel opens shortly after the first frames are sent.
    missing = sent - told.keys()
    assert all(timestamp < min(told) for timestamp in missing)
    assert len(sent & told.keys()) >= 4
    first = next(event for event in told.values() if event["view_seq"] == 3)
    assert first["head"] == {"rotation": [0, 0, 0, 1], "translation": [0, 0, 0]}
    assert first["view_sent_at_ms"] == 31.5
    assert first["mesh_seq"] == 7
    assert first["cache_age_ms"] >= 0
    assert first["stages_ms"].keys() >= {"wait", "raster", "warp", "encode"}
    passed = [first["clock_ms"][p] for p in ("view_received", "drawn", "encoded", "sent")]
    assert passed == sorted(passed)


async def test_a_ping_is_answered_with_the_servers_clock(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send({"type": "ping", "sent_at_ms": 12.25})
        await viewer.until(lambda: bool(viewer.of_type("pong")))
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: any(e["view_seq"] == 1 for e in viewer.of_type("frame")))
    answer = viewer.of_type("pong")[0]
    assert answer["fps"] == 60
    assert answer["sent_at_ms"] == 12.25
    frame = next(e for e in viewer.of_type("frame") if e["view_seq"] == 1)
    assert frame["clock_ms"]["view_received"] >= answer["received_at_ms"]


async def test_a_late_view_is_dropped(client: httpx2.AsyncClient, stream: str) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send_view(5, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.0, 0.4))
        viewer.send_view(4, eye_x=-0.8)
        viewer.send_view(5, eye_x=-0.8)
        await asyncio.sleep(0.3)
        assert viewer.shows(0.0, 0.4)
        stats = (await client.get(viewer.address)).json()
        assert stats["views"] == {"accepted": 1, "dropped": 2}


async def test_a_bad_message_is_answered_with_an_error_and_the_session_continues(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send({"type": "view", "seq": 1, "eye": {"position": [0, 0, 1e9]}})
        await viewer.until(lambda: bool(viewer.of_type("error")))
        assert viewer.of_type("error")[0]["detail"] == (
            "view.eye.position.2: expected less than or equal to 10, got 1000000000.0"
        )
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.0, 0.4))


async def test_errors_of_many_bad_messages_are_limited_in_rate(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        for _ in range(50):
            viewer.view_channel.send(b"\x00\x01")
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.0, 0.4))
        assert 1 <= len(viewer.of_type("error")) <= 5


async def test_a_viewer_may_drive_the_face_over_webrtc(
    client: httpx2.AsyncClient, stream: str
) -> None:
    await publish(client, stream, 1, jaw_open=0.2)
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send({"type": "mesh", "seq": 1, "expression": {"jawOpen": 0.8}})
        await viewer.until(lambda: viewer.shows(0.8, 0.0))
        viewer.send({"type": "mesh", "seq": 2, "expression": {"jawWide": 0.8}})
        await viewer.until(lambda: bool(viewer.of_type("error")))
        assert "'jawWide'" in viewer.of_type("error")[0]["detail"]


async def test_a_lost_frame_causes_a_key_frame_at_once(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.0, 0.4))
        await asyncio.sleep(0.25)
        before = len(viewer.key_frames)
        await asyncio.sleep(0.25)
        assert len(viewer.key_frames) == before  # an unchanged image needs none
        await viewer.receiver._send_rtcp_pli(viewer.packets[-1].ssrc)
        await viewer.until(lambda: len(viewer.key_frames) == before + 1)


async def test_key_frames_repeat_before_the_first_view(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        await viewer.until(lambda: len(viewer.key_frames) >= 4)


async def test_a_viewer_without_h264_gets_vp8(client: httpx2.AsyncClient, stream: str) -> None:
    await publish(client, stream, 1, jaw_open=0.5)
    async with a_viewer(client, codec="video/VP8") as viewer:
        await viewer.watch(stream)
        assert "VP8/90000" in viewer.answer
        assert "H264" not in viewer.answer
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.5, 0.4))


@pytest.mark.parametrize("codec", [None, "video/VP8"])
async def test_a_viewer_may_request_the_head_without_a_background(
    client: httpx2.AsyncClient, stream: str, codec: str | None
) -> None:
    await publish(client, stream, 1, jaw_open=0.5)
    async with a_viewer(client, codec) as viewer:
        viewer.query = "?background=transparent"
        await viewer.watch(stream)
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.5, 0.4))
        assert viewer.size == (64, layered_rows(64))


@pytest.mark.parametrize("codec", [None, "video/VP8"])
async def test_frames_have_the_size_that_the_display_needs(
    client: httpx2.AsyncClient, stream: str, codec: str | None
) -> None:
    await publish(client, stream, 1, jaw_open=0.5)
    async with a_viewer(client, codec) as viewer:
        viewer.query = "?display=281"
        await viewer.watch(stream)
        viewer.send_view(1, eye_x=0.4)
        await viewer.until(lambda: viewer.shows(0.5, 0.4))
        assert viewer.size == (256, 256)
        smaller = (await client.get(viewer.address)).json()
        assert smaller["size"] == 256
        viewer.send({"type": "display", "size_px": 400, "stills": False})
        await viewer.until(lambda: viewer.size == (320, 320))
        viewer.send_view(2, eye_x=-0.4)
        await viewer.until(lambda: viewer.shows(0.5, -0.4))
        assert viewer.size == (320, 320)
        if codec is None:  # aiortc, which encodes VP8, has bitrates of its own
            larger = (await client.get(viewer.address)).json()
            assert larger["target_kbps"] == pytest.approx(1.25 * smaller["target_kbps"], rel=0.01)


async def test_a_viewer_without_a_common_codec_is_told_the_supported_ones(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.connection.setLocalDescription(await viewer.connection.createOffer())
        offer = viewer.connection.localDescription.sdp
        for ours in ("H264", "VP8"):
            offer = offer.replace(ours, "AV1")
        refused = await client.post(f"/v1/streams/{stream}/whep", content=offer, headers=SDP)
    assert refused.status_code == 400
    assert "expected an offer of h264 or vp8, got AV1, rtx" in refused.json()["detail"]


async def test_the_bitrate_follows_the_viewers_estimate_without_key_frames(
    served: Served, client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        viewer.send_view(1, eye_x=0.1)
        await viewer.until(lambda: viewer.shows(0.0, 0.1))
        await asyncio.sleep(0.25)
        (session,) = [s for s in served.app.state.sessions.list() if s.stream.id == stream]
        encoder = session.peer._encoder
        before, packets = len(viewer.key_frames), len(viewer.packets)
        for seq in range(2, 40):
            viewer.send_view(seq, eye_x=seq / 50)
            await viewer.estimate(2_000_000 if seq < 12 or seq > 25 else 1000)
            await asyncio.sleep(0.02)
            if seq == 25:
                assert encoder.bitrate <= 400_000
            if seq == 11:
                await viewer.until(lambda: encoder.bitrate >= 2_000_000)
        await viewer.until(lambda: encoder.bitrate >= 2_000_000)
        await viewer.until(lambda: viewer.shows(0.0, 39 / 50))
        assert len(viewer.packets) > packets + 10
        assert len(viewer.key_frames) == before


async def test_the_answer_prefers_h264_and_requests_no_playout_delay(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        response = await viewer.join(stream)
        assert response.headers["content-type"] == "application/sdp"
        assert response.headers["etag"]
        assert response.headers["location"].startswith("/v1/sessions/")
        assert len(response.headers["location"]) > 30  # not guessable
        assert "link" not in response.headers
        assert "H264/90000" in viewer.answer
        assert "VP8" not in viewer.answer
        assert PLAYOUT_DELAY_URI in viewer.answer
        assert "a=sendonly" in viewer.answer


async def test_statistics_contain_the_time_of_each_stage(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        for seq in range(1, 20):
            viewer.send_view(seq, eye_x=seq / 50)
            await asyncio.sleep(0.02)
        stats = (await client.get(viewer.address)).json()
        assert stats["stream"] == stream
        assert stats["frames"] >= 5
        assert stats["fps"] > 0
        assert stats["cache_age_ms"]["p50"] >= 0
        assert stats["stages_ms"]["encode"]["p95"] > 0
        metrics = (await client.get("/metrics")).text
        assert "telewarp_sessions 1.0" in metrics
        assert "telewarp_lowered_sessions 0.0" in metrics
        assert stats["target_kbps"] >= 300
        target = re.search(r"^telewarp_video_target_bytes_per_second (\S+)$", metrics, re.M)
        assert target
        assert float(target[1]) == pytest.approx(stats["target_kbps"] * 125, rel=0.5)
        assert 'telewarp_stage_seconds_bucket{le="0.008",stage="warp"}' in metrics
        assert 'telewarp_stage_seconds_bucket{le="0.008",stage="encode"}' in metrics
        assert 'telewarp_cache_age_seconds_bucket{le="0.033"}' in metrics
        assert 'telewarp_dropped_datagrams_total{reason="late"}' in metrics
        sent = re.search(r"^telewarp_video_bytes_total (\S+)$", metrics, re.M)
        assert sent
        assert float(sent[1]) > 1000


async def test_deleting_a_session_ends_it(client: httpx2.AsyncClient, stream: str) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        assert (await client.delete(viewer.address)).status_code == 204
        gone = await client.delete(viewer.address)
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "application/problem+json"


async def test_a_closed_viewer_releases_its_encoder_and_frames(
    served: Served, client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        session = served.app.state.sessions.get(viewer.address.rpartition("/")[2])
        held = [weakref.ref(part) for part in (session.peer._encoder, session._frames.newest.nv12)]
        gc.disable()  # freed by reference counts, without the garbage collector
        try:
            await client.delete(viewer.address)
            deadline = time.monotonic() + SOON_S
            while any(part() is not None for part in held):
                assert time.monotonic() < deadline, held
                await asyncio.sleep(0.02)
        finally:
            gc.enable()


async def test_a_closed_connection_ends_the_session(
    client: httpx2.AsyncClient, stream: str
) -> None:
    viewer = Viewer(client)
    await viewer.watch(stream)
    await viewer.leave()
    await viewer.until_ended()


async def test_a_viewer_that_never_connects_is_ended(
    client: httpx2.AsyncClient, stream: str
) -> None:
    viewer = Viewer(client)
    await viewer.connection.setLocalDescription(await viewer.connection.createOffer())
    offer = viewer.connection.localDescription.sdp
    response = await client.post(f"/v1/streams/{stream}/whep", content=offer, headers=SDP)
    viewer.address = response.headers["location"]
    await viewer.until_ended()
    await viewer.leave()


@pytest.mark.alone
async def test_an_unfinished_handshake_frees_its_slot_before_the_keepalive_timeout(
    client: httpx2.AsyncClient, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peer.HANDSHAKE_S <= 4, "offers without a viewer would hold session slots"
    monkeypatch.setattr(peer, "HANDSHAKE_S", 0.3)
    began = time.monotonic()
    viewer = Viewer(client)
    await viewer.connection.setLocalDescription(await viewer.connection.createOffer())
    offer = viewer.connection.localDescription.sdp
    response = await client.post(f"/v1/streams/{stream}/whep", content=offer, headers=SDP)
    viewer.address = response.headers["location"]
    await viewer.until_ended()
    assert time.monotonic() - began < 2, "the keepalive timeout would end it after 2.5 s"
    await viewer.leave()


async def test_a_player_that_never_sends_a_view_stays_connected_while_it_receives_video(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        await asyncio.sleep(IDLE_SESSION_S + 1.5)  # RTCP only
        assert (await client.get(viewer.address)).json()["state"] == "running"


@pytest.mark.alone
async def test_a_viewer_that_lost_its_network_is_ended(
    client: httpx2.AsyncClient, stream: str
) -> None:
    viewer = Viewer(client)
    await viewer.watch(stream)
    viewer.send_view(1, eye_x=0.4)
    await viewer.until(lambda: viewer.shows(0.0, 0.4))
    began = time.monotonic()
    viewer.drop_outgoing()
    await viewer.until_ended()
    assert time.monotonic() - began < IDLE_SESSION_S + 1.5
    await viewer.leave()


async def test_viewers_of_a_deleted_stream_are_told_and_disconnected(
    client: httpx2.AsyncClient,
) -> None:
    stream = (await client.post("/v1/streams")).json()["id"]
    async with a_viewer(client) as viewer:
        await viewer.watch(stream)
        await client.delete(f"/v1/streams/{stream}")
        await viewer.until_ended()
        assert viewer.of_type("ended") == [{"type": "ended", "detail": "the stream was deleted"}]


async def test_viewers_above_the_session_limit_are_refused(
    client: httpx2.AsyncClient, stream: str
) -> None:
    viewers = [Viewer(client) for _ in range(4)]
    answers = [await viewer.join(stream) for viewer in viewers]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 503]
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert int(answers[3].headers["retry-after"]) > 0
    for viewer in viewers:
        await viewer.leave()
    for viewer in viewers[:3]:
        await client.delete(viewer.address)
