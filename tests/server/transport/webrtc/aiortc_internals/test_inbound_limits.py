"""Limits on the datagrams and ICE checks of a viewer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import StunProtocol

from server.network.dropped_datagrams import dropped_datagrams
from server.transport.webrtc.aiortc_internals.inbound_limits import (
    CHECKS_PER_S,
    MOST_DATAGRAMS_AT_ONCE,
    MOST_QUEUED,
    MOST_REMOTE_CANDIDATES,
    STUN_PER_S,
    VIEWER_DATAGRAMS_PER_S,
    LimitedStunProtocol,
    limit_inbound,
)
from tests.server.transport.webrtc.aiortc_internals.limited_pair import Pair
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)


def stun_request(attributes: bytes) -> bytes:
    """Return a binding request with these attributes."""
    head = b"\x00\x01" + len(attributes).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
    return head + bytes(12) + attributes


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


async def test_upstream_still_has_the_methods_that_the_limits_replace(pair: Pair) -> None:
    await pair.connect()
    assert_signature(Connection, "data_received", ("self", "data", "component"))
    assert_signature(Connection, "request_received", ("self", "message", "addr", "protocol"))
    assert_signature(StunProtocol, "datagram_received", ("self", "data", "addr"))
    assert_attribute(pair.ice, "_queue", asyncio.Queue)
    assert_attribute(pair.ice, "_remote_candidates", list)
    assert_attribute(pair.ice._remote_candidates[0], "_network_host", str)
    assert isinstance(pair.ice._remote_candidates[0], Candidate)
