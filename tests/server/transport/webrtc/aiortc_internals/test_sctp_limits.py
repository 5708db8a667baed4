"""Limits on what a viewer sends over SCTP: chunks, streams, gaps, channels and messages."""

from __future__ import annotations

import random
import time
from typing import Any, cast

import pytest
from aiortc import RTCSctpTransport
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
from google_crc32c import value as crc32c

from server.transport.webrtc.aiortc_internals.sctp_limits import (
    CHUNKS_PER_S,
    MOST_CHANNELS,
    MOST_GAPS,
    MOST_STREAMS,
)
from tests.server.transport.webrtc.aiortc_internals.limited_pair import Pair
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

WHOLE = 3
"""Flags of a chunk that holds a whole message."""
STRING, DCEP = 51, 50


async def test_upstream_still_has_the_methods_that_the_limits_replace(pair: Pair) -> None:
    await pair.connect()
    sctp = RTCSctpTransport
    assert_signature(sctp, "_receive_chunk", ("self", "chunk"), is_async=True)
    assert_signature(sctp, "_handle_data", ("self", "data"), is_async=True)
    arguments = ("self", "stream_id", "pp_id", "data")
    assert_signature(sctp, "_data_channel_receive", arguments, is_async=True)
    for name, kind in (
        ("_sack_misordered", set),
        ("_inbound_streams", dict),
        ("_data_channels", dict),
        ("_advertised_rwnd", int),
        ("_last_received_tsn", int),
    ):
        assert_attribute(pair.sctp, name, kind)


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


def count_packets(sctp: RTCSctpTransport) -> list[Chunk]:
    """Stop sending; return the list of chunks that would be sent."""
    sent: list[Chunk] = []

    async def count(chunk: Chunk) -> None:
        sent.append(chunk)

    sctp._send_chunk = count  # type: ignore[method-assign]
    return sent


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


async def _nothing() -> None:
    """Send no acknowledgement."""
