"""What one viewer sends costs a bounded amount: datagrams, checks, SCTP chunks and channels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aioice import Candidate, Connection, stun
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSctpTransport
from aiortc.rtcsctptransport import DataChunk

from server.transport.webrtc.aiortc_internals.inbound_limits import (
    CHECKS_PER_S,
    DATAGRAMS_PER_S,
    MOST_CHANNELS,
    MOST_GAPS,
    MOST_QUEUED,
    MOST_REMOTE_CANDIDATES,
    MOST_STREAMS,
    ice_connections,
    limit_inbound,
)
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

SOON_S = 10.0
WHOLE = 3
"""Flags of a chunk that is a message of its own."""
STRING, DCEP = 51, 50


class Pair:
    """A viewer's connection, and one of a server with limits."""

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
        limit_inbound(self.server)
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.viewer.setRemoteDescription(self.server.localDescription)
        await self.until(lambda: bool(self.channels))
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
    for _ in range(5 * int(DATAGRAMS_PER_S)):
        pair.ice.data_received(b"\x00", 1)
    assert 0.5 * DATAGRAMS_PER_S < len(handed) < 1.2 * DATAGRAMS_PER_S


async def test_datagrams_do_not_pile_up_before_anyone_reads_them(pair: Pair) -> None:
    pair.viewer.createDataChannel("view")
    await pair.viewer.setLocalDescription(await pair.viewer.createOffer())
    await pair.server.setRemoteDescription(pair.viewer.localDescription)
    limit_inbound(pair.server)
    for _ in range(MOST_QUEUED):
        pair.ice._queue.put_nowait((b"\x17", 1))
    pair.ice.data_received(b"\x17", 1)
    assert pair.ice._queue.qsize() == MOST_QUEUED


async def test_checks_from_ever_new_ports_are_not_all_remembered(pair: Pair) -> None:
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


async def test_gaps_streams_and_fragments_are_bounded(pair: Pair) -> None:
    await pair.connect()
    sctp = pair.sctp
    cast(Any, sctp)._send_sack = _nothing
    first = (sctp._last_received_tsn or 0) + 10
    for i in range(2 * MOST_STREAMS):
        await sctp._receive_data_chunk(chunk((first + 2 * i) % 2**32, stream=i))
    assert len(sctp._inbound_streams) == MOST_STREAMS
    sctp._sack_misordered.update(range(first + 9000, first + 9000 + MOST_GAPS))
    held = len(sctp._sack_misordered)
    await sctp._receive_data_chunk(chunk((first + 20_000) % 2**32))
    assert len(sctp._sack_misordered) == held
    sctp._sack_misordered.clear()
    sctp._advertised_rwnd = 0
    await sctp._receive_data_chunk(chunk((first + 30_000) % 2**32))
    assert not sctp._sack_misordered


async def test_many_channels_are_ignored_and_the_first_goes_on(pair: Pair) -> None:
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


async def test_upstream_has_what_the_limits_replace(pair: Pair) -> None:
    await pair.connect()
    assert_signature(Connection, "data_received", ("self", "data", "component"))
    assert_signature(Connection, "request_received", ("self", "message", "addr", "protocol"))
    sctp = RTCSctpTransport
    assert_signature(sctp, "_receive_data_chunk", ("self", "chunk"), is_async=True)
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
