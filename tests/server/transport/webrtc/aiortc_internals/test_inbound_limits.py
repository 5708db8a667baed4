"""Limits on what a viewer sends: datagrams, ICE checks, feedback, SCTP and channels."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import StunProtocol
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSctpTransport,
)
from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    serialize_packet,
)
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket
from google_crc32c import value as crc32c

from server.network.dropped_datagrams import dropped_datagrams
from server.transport.webrtc.aiortc_internals.inbound_limits import (
    CHECKS_PER_S,
    MOST_DATAGRAMS_AT_ONCE,
    MOST_QUEUED,
    MOST_REMOTE_CANDIDATES,
    STUN_PER_S,
    VIEWER_DATAGRAMS_PER_S,
    LimitedStunProtocol,
    ice_connections,
    limit_inbound,
)
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.rtcp_limits import (
    FEEDBACK_BYTES_PER_S,
    RETRANSMISSIONS_PER_S,
    limit_feedback,
)
from server.transport.webrtc.aiortc_internals.sctp_limits import (
    CHUNKS_PER_S,
    MOST_CHANNELS,
    MOST_GAPS,
    MOST_STREAMS,
)
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

SOON_S = 10.0
WHOLE = 3
"""Flags of a chunk that holds a whole message."""
STRING, DCEP = 51, 50


class Pair:
    """Connections of a viewer and of a server with limits."""

    def __init__(self) -> None:
        enable_loopback_fallback()
        self.viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.server = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels: list[RTCDataChannel] = []
        self.messages: list[str] = []
        self.server.on("datachannel", self._take)

    async def connect(self) -> RTCDataChannel:
        channel = self.viewer.createDataChannel("view")
        await self.viewer.setLocalDescription(await self.viewer.createOffer())
        await self.server.setRemoteDescription(self.viewer.localDescription)
        limit_inbound(self.server, VIEWER_DATAGRAMS_PER_S)
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.viewer.setRemoteDescription(self.server.localDescription)
        await self.until(lambda: bool(self.channels) and channel.readyState == "open")
        return channel

    async def until(self, condition: Any) -> None:
        deadline = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    def _take(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        channel.on("message", self.messages.append)

    @property
    def sctp(self) -> RTCSctpTransport:
        assert self.server.sctp is not None
        return self.server.sctp

    @property
    def ice(self) -> Connection:
        (found,) = ice_connections(self.server)
        return found


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    await pair.viewer.close()
    await pair.server.close()


def chunk(tsn: int, stream: int = 0, flags: int = WHOLE, data: bytes = b"x") -> DataChunk:
    made = DataChunk(flags)
    made.tsn, made.stream_id, made.protocol, made.user_data = tsn, stream, STRING, data
    return made


class RawChunk(Chunk):
    """A chunk of any kind and content."""

    def __init__(self, kind: int, body: bytes) -> None:
        super().__init__(0, body)
        self.type = kind


CLOSING_CHUNKS = {6, 7, 8, 14}
"""Types of chunks that end a connection."""


def packet(sctp: RTCSctpTransport, *chunks: Chunk) -> bytes:
    """Return an SCTP packet of the viewer."""
    head = serialize_packet(5000, 5000, sctp._local_verification_tag, chunks[0])
    data = head[:8] + bytes(4) + b"".join(bytes(chunk) for chunk in chunks)
    checksum: int = crc32c(data)
    return data[:8] + checksum.to_bytes(4, "little") + data[12:]


def stun_request(attributes: bytes) -> bytes:
    """Return a binding request with these attributes."""
    head = b"\x00\x01" + len(attributes).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
    return head + bytes(12) + attributes


def count_packets(sctp: RTCSctpTransport) -> list[Chunk]:
    """Stop sending; return the list of chunks that would be sent."""
    sent: list[Chunk] = []

    async def count(chunk: Chunk) -> None:
        sent.append(chunk)

    sctp._send_chunk = count  # type: ignore[method-assign]
    return sent


async def test_messages_below_the_limits_all_arrive(pair: Pair) -> None:
    channel = await pair.connect()
    sent = [f"{i}" * 4000 for i in range(8)]
    for text in sent:
        channel.send(text)
    await pair.until(lambda: pair.messages == sent)


async def test_datagrams_above_the_rate_are_dropped_before_decryption(pair: Pair) -> None:
    await pair.connect()
    handed: list[tuple[bytes, int] | None] = []
    queue = pair.ice._queue
    put = queue.put_nowait

    def count(item: tuple[bytes, int] | None) -> None:
        handed.append(item)
        put(item)

    cast(Any, queue).put_nowait = count
    sent, before = 5 * int(MOST_DATAGRAMS_AT_ONCE), dropped_datagrams()["rate"]
    for _ in range(sent):
        pair.ice.data_received(b"\x17", 1)
    assert dropped_datagrams()["rate"] - before == sent - len(handed)
    assert 0.5 * MOST_DATAGRAMS_AT_ONCE < len(handed) < 1.2 * MOST_DATAGRAMS_AT_ONCE


async def test_unread_datagrams_do_not_accumulate(pair: Pair) -> None:
    pair.viewer.createDataChannel("view")
    await pair.viewer.setLocalDescription(await pair.viewer.createOffer())
    await pair.server.setRemoteDescription(pair.viewer.localDescription)
    limit_inbound(pair.server, VIEWER_DATAGRAMS_PER_S)
    for _ in range(MOST_QUEUED):
        pair.ice._queue.put_nowait((b"\x17", 1))
    pair.ice.data_received(b"\x17", 1)
    assert pair.ice._queue.qsize() == MOST_QUEUED


async def test_ice_checks_from_many_ports_are_stored_up_to_a_limit(pair: Pair) -> None:
    await pair.connect()
    protocol = pair.ice._protocols[0]
    remote = pair.ice.remote_username
    for port in range(20_000, 20_000 + int(CHECKS_PER_S) * 3):
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{pair.ice.local_username}:{remote}"
        message.attributes["PRIORITY"] = 1
        message.add_message_integrity(pair.ice.local_password.encode())
        pair.ice.request_received(message, ("127.0.0.1", port), protocol)
    assert len(pair.ice.remote_candidates) == MOST_REMOTE_CANDIDATES


async def test_sctp_gaps_streams_and_fragments_are_bounded(pair: Pair) -> None:
    await pair.connect()
    sctp = pair.sctp
    cast(Any, sctp)._send_sack = _nothing
    first = (sctp._last_received_tsn or 0) + 10
    for i in range(2 * MOST_STREAMS):
        await sctp._receive_chunk(chunk((first + 2 * i) % 2**32, stream=i))
    assert len(sctp._inbound_streams) == MOST_STREAMS
    sctp._sack_misordered.update(range(first + 9000, first + 9000 + MOST_GAPS))
    held = len(sctp._sack_misordered)
    await sctp._receive_chunk(chunk((first + 20_000) % 2**32))
    assert len(sctp._sack_misordered) == held
    sctp._sack_misordered.clear()
    sctp._advertised_rwnd = 0
    await sctp._receive_chunk(chunk((first + 30_000) % 2**32))
    assert not sctp._sack_misordered


@pytest.mark.alone
@pytest.mark.parametrize("gaps", [[(1, 65_535)] * 290, [(5, 4)], [(0, 1)]])
async def test_an_acknowledgement_of_chunks_that_were_never_sent_is_cheap(
    pair: Pair, gaps: list[tuple[int, int]]
) -> None:
    channel = await pair.connect()
    sack = SackChunk()
    sack.cumulative_tsn = (pair.sctp._local_tsn - 1) % 2**32
    sack.gaps = gaps
    began_s = time.process_time()
    await pair.sctp._handle_data(packet(pair.sctp, sack))
    assert time.process_time() - began_s < 0.05
    channel.send("still here")
    await pair.until(lambda: pair.messages == ["still here"])


async def test_a_reset_of_many_streams_is_not_answered(pair: Pair) -> None:
    await pair.connect()
    sent = count_packets(pair.sctp)
    reset = ReconfigChunk()
    reset.params = [(13, b"\x00\x00\x00\x01" * 3 + b"\x00\x09")] * 60
    await pair.sctp._handle_data(packet(pair.sctp, reset))
    assert sent == []


async def test_skipping_many_streams_does_not_create_them(pair: Pair) -> None:
    await pair.connect()
    skip = ForwardTsnChunk()
    skip.cumulative_tsn = (pair.sctp._last_received_tsn or 0) + 1
    skip.streams = [(stream, 1) for stream in range(1000, 1280)]
    await pair.sctp._handle_data(packet(pair.sctp, skip))
    assert len(pair.sctp._inbound_streams) <= MOST_STREAMS


@pytest.mark.alone
async def test_answers_to_heartbeats_are_limited(pair: Pair) -> None:
    await pair.connect()
    sent = count_packets(pair.sctp)
    bomb = packet(pair.sctp, *[HeartbeatChunk()] * 290)
    began_s, process_s = time.monotonic(), time.process_time()
    for _ in range(1000):
        await pair.sctp._handle_data(bomb)
    seconds = time.monotonic() - began_s
    assert 0.5 * CHUNKS_PER_S < len(sent) <= CHUNKS_PER_S * (1 + seconds)
    # Parsing all of them would take longer than a second.
    assert time.process_time() - process_s < 0.5 * (1 + seconds)


async def test_malformed_sctp_packets_do_not_end_the_connection(pair: Pair) -> None:
    await pair.connect()
    tag = pair.sctp._local_verification_tag
    chance = random.Random(0)
    for kind in sorted({*range(16), 130, 192}):
        for length in (0, 1, 4, 7, 12, 13, 20):
            body = RawChunk(kind, chance.randbytes(length))
            if kind not in CLOSING_CHUNKS:
                await pair.sctp._handle_data(serialize_packet(5000, 5000, tag, body))
    await pair.sctp._handle_data(packet(pair.sctp, HeartbeatChunk(), InitChunk()))
    assert pair.sctp._association_state == pair.sctp.State.ESTABLISHED
    sent = count_packets(pair.sctp)
    await pair.sctp._handle_data(packet(pair.sctp, HeartbeatChunk()))
    assert HeartbeatAckChunk in {type(chunk) for chunk in sent}


async def test_retransmissions_are_limited_in_rate(pair: Pair) -> None:
    pair.server.addTransceiver("video", direction="sendonly")
    pair.viewer.addTransceiver("video", direction="recvonly")
    await pair.connect()
    sender = pair.server.getTransceivers()[0].sender
    sent: list[int] = []

    async def count(sequence_number: int) -> None:
        sent.append(sequence_number)

    sender._retransmit = count  # type: ignore[method-assign]
    limit_feedback([sender])
    lost = [number for first in range(0, 65_000, 17) for number in range(first, first + 17)]
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=0, media_ssrc=sender._ssrc, lost=lost[:4000])
    handled: list[int] = []
    handle = sender._handle_rtcp_packet

    async def note(feedback: Any) -> None:
        handled.append(len(bytes(feedback)))
        await handle(feedback)

    cast(Any, sender)._handle_rtcp_packet = note
    began_s = time.monotonic()
    for _ in range(100):
        await sender.transport._handle_rtcp_data(bytes(nack))
    seconds = time.monotonic() - began_s
    assert 0.5 * RETRANSMISSIONS_PER_S < len(sent) <= RETRANSMISSIONS_PER_S * (1 + seconds)
    most_bytes = FEEDBACK_BYTES_PER_S * (1 + seconds) + len(bytes(nack))
    assert 0 < sum(handled) <= most_bytes


STUN_LARGE = stun_request(b"\x00\x25\x00\x00" * 16_383)
STUN_SHORT_PRIORITY = stun_request(b"\x00\x24\x00\x01" + bytes(4))


@pytest.mark.alone
@pytest.mark.parametrize("datagram", [STUN_LARGE, STUN_SHORT_PRIORITY], ids=["64 kB", "short"])
async def test_a_datagram_of_another_sender_is_dropped_without_an_exception(
    pair: Pair, datagram: bytes
) -> None:
    await pair.connect()
    port = LimitedStunProtocol(pair.ice)
    began_s = time.process_time()
    port.datagram_received(datagram, ("192.0.2.1", 9))
    assert time.process_time() - began_s < 0.005


def peer_of(ice: Connection) -> tuple[str, int]:
    """Return an address of the peer."""
    candidate = ice.remote_candidates[0]
    return candidate.host, candidate.port


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x16", b"\x40", b"\x80", b"\x80\xc8", b"\xff"])
async def test_a_datagram_without_content_does_not_end_the_connection(
    pair: Pair, data: bytes
) -> None:
    channel = await pair.connect()
    port = cast("LimitedStunProtocol", pair.ice._protocols[0])
    for sender in (("192.0.2.1", 9), peer_of(pair.ice)):
        port.datagram_received(data, sender)
    pair.ice.data_received(data, 1)
    channel.send("still here")
    await pair.until(lambda: pair.messages == ["still here"])


async def test_datagrams_from_other_addresses_do_not_count_towards_the_rates_of_the_peer(
    pair: Pair,
) -> None:
    channel = await pair.connect()
    gathered = LimitedStunProtocol(pair.ice)
    gathered.local_candidate = pair.ice.local_candidates[0]
    answered: list[tuple[str, int]] = []
    cast(Any, gathered).send_stun = lambda message, addr: answered.append(addr)
    before = dropped_datagrams()["stranger"]
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = "guess:guess"
    request.add_message_integrity(b"guess")
    for data in (bytes(request), b"\x17" * 100, b"\x80" * 100):
        for _ in range(2 * int(MOST_DATAGRAMS_AT_ONCE)):
            gathered.datagram_received(data, ("192.0.2.1", 9))
    assert dropped_datagrams()["stranger"] - before > 4 * MOST_DATAGRAMS_AT_ONCE
    assert set(answered) == {("192.0.2.1", 9)}
    assert len(answered) < 1.5 * CHECKS_PER_S
    request.attributes["USERNAME"] = f"{pair.ice.local_username}:{pair.ice.remote_username}"
    request.add_message_integrity(pair.ice.local_password.encode())
    gathered.datagram_received(bytes(request), peer_of(pair.ice))
    assert answered[-1] == peer_of(pair.ice)
    channel.send("still here")
    await pair.until(lambda: pair.messages == ["still here"])


@pytest.mark.alone
async def test_stun_messages_are_parsed_at_a_limited_rate(pair: Pair) -> None:
    await pair.connect()
    port = LimitedStunProtocol(pair.ice)
    cast(Any, port).send_stun = lambda message, addr: None
    wide = stun_request(b"\x00\x25\x00\x00" * 370)
    for sender in (("192.0.2.1", 9), peer_of(pair.ice)):
        began_s = time.process_time()
        for _ in range(20 * int(STUN_PER_S)):  # all of them would take 0.9 s
            port.datagram_received(wide, sender)
        assert time.process_time() - began_s < 0.3


async def test_further_channels_are_ignored_and_the_first_continues(pair: Pair) -> None:
    channel = await pair.connect()
    for i in range(3 * MOST_CHANNELS):
        pair.viewer.createDataChannel(f"more {i}")
    await pair.until(lambda: len(pair.channels) == MOST_CHANNELS)
    channel.send("still here")
    await pair.until(lambda: pair.messages == ["still here"])
    assert len(pair.sctp._data_channels) == MOST_CHANNELS


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (STRING, b"\xff\xfe"),
        (DCEP, b"\x02"),
        (DCEP, b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\xff"),
    ],
)
async def test_a_malformed_message_does_not_end_the_connection(
    pair: Pair, kind: int, data: bytes
) -> None:
    channel = await pair.connect()
    stream = next(iter(pair.sctp._data_channels)) if kind == STRING else 9
    await pair.sctp._data_channel_receive(stream, kind, data)
    channel.send("still here")
    await pair.until(lambda: pair.messages == ["still here"])


async def test_upstream_still_has_the_methods_that_the_limits_replace(pair: Pair) -> None:
    await pair.connect()
    assert_signature(Connection, "data_received", ("self", "data", "component"))
    assert_signature(Connection, "request_received", ("self", "message", "addr", "protocol"))
    sctp = RTCSctpTransport
    assert_signature(sctp, "_receive_chunk", ("self", "chunk"), is_async=True)
    assert_signature(sctp, "_handle_data", ("self", "data"), is_async=True)
    assert_signature(RTCDtlsTransport, "_handle_rtcp_data", ("self", "data"), is_async=True)
    assert_signature(RTCRtpSender, "_retransmit", ("self", "sequence_number"), is_async=True)
    assert_signature(StunProtocol, "datagram_received", ("self", "data", "addr"))
    arguments = ("self", "stream_id", "pp_id", "data")
    assert_signature(sctp, "_data_channel_receive", arguments, is_async=True)
    assert_attribute(pair.ice, "_queue", asyncio.Queue)
    assert_attribute(pair.ice, "_remote_candidates", list)
    assert_attribute(pair.ice._remote_candidates[0], "_network_host", str)
    assert isinstance(pair.ice._remote_candidates[0], Candidate)
    for name, kind in (
        ("_sack_misordered", set),
        ("_inbound_streams", dict),
        ("_data_channels", dict),
        ("_advertised_rwnd", int),
        ("_last_received_tsn", int),
    ):
        assert_attribute(pair.sctp, name, kind)


async def _nothing() -> None:
    """Send no acknowledgement."""
