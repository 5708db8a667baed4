"""Datagrams of an overloaded server: few are queued, and the newest is handled."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import cast

from aioice import Candidate, Connection

from server.network.dropped_datagrams import dropped_datagrams
from server.transport.webrtc.aiortc_internals.fresh_datagrams import LONGEST_WAIT_S, FreshQueue
from server.transport.webrtc.aiortc_internals.inbound_limits import LimitedStunProtocol
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

RTP, SCTP, HANDSHAKE = bytes([128]), bytes([23]), bytes([22])


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def numbered(kind: bytes, number: int) -> tuple[bytes, int]:
    return kind + number.to_bytes(2, "big"), 1


async def test_upstream_still_queues_datagrams_this_way() -> None:
    assert_signature(asyncio.Queue, "_put", ("self", "item"))
    assert_signature(asyncio.Queue, "_get", ("self",))
    connection = Connection(ice_controlling=True)
    assert_attribute(connection, "_queue", asyncio.Queue)
    assert_attribute(connection._queue, "_queue", deque)
    connection.data_received(b"data", 1)
    assert connection._queue.get_nowait() == (b"data", 1)


def test_a_server_at_triple_load_delays_datagrams_by_at_most_the_longest_wait() -> None:
    clock, before = Clock(), dropped_datagrams()["late"]
    queue = FreshQueue(clock)
    latest, handled, longest = 0.0, 0, 0
    for step in range(600):  # ten seconds of a publisher's packets
        clock.now = step / 60
        queue.put_nowait(numbered(RTP if step % 6 else SCTP, step))
        longest = max(longest, queue.qsize())
        if step % 3 == 0:
            item = queue.get_nowait()
            assert item is not None
            handled += 1
            latest = max(latest, clock.now - int.from_bytes(item[0][1:], "big") / 60)
    assert handled == 200
    assert dropped_datagrams()["late"] - before == 600 - handled - queue.qsize() > 300
    assert latest <= LONGEST_WAIT_S + 1e-9
    assert longest <= 60 * LONGEST_WAIT_S + 3  # packets of the longest wait and of one step


def test_handshakes_the_end_and_the_newest_datagram_are_never_dropped() -> None:
    clock = Clock()
    queue = FreshQueue(clock)
    for number in range(5):
        queue.put_nowait(numbered(RTP, number))
    queue.put_nowait(numbered(HANDSHAKE, 5))
    queue.put_nowait(numbered(SCTP, 6))
    queue.put_nowait(None)
    queue.put_nowait(numbered(RTP, 7))
    clock.now = 60.0
    taken = [queue.get_nowait() for _ in range(queue.qsize() - 6)]
    assert taken == [numbered(HANDSHAKE, 5), None, numbered(RTP, 7)]
    assert queue.empty()


class Receiver:
    """The parts of an ICE connection that a port uses."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._remote_candidates: list[Candidate] = []

    def know(self, host: str, port: int) -> None:
        """Add a candidate of the peer."""
        self._remote_candidates.append(Candidate("1", 1, "udp", 1, host, port, "host"))

    def data_received(self, data: bytes, component: int) -> None:
        self.received.append(data)

    def protocol_lost(self, protocol: object) -> None: ...


async def test_datagrams_in_the_kernels_buffer_are_read_in_few_loop_iterations() -> None:
    receiver = Receiver()
    _, port = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: LimitedStunProtocol(cast("Connection", receiver)), local_addr=("127.0.0.1", 0)
    )
    port.local_candidate = cast("Candidate", type("Candidate", (), {"component": 1}))
    address = port.transport.get_extra_info("sockname")
    await asyncio.sleep(0)
    sent = [numbered(RTP, number)[0] for number in range(64)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        receiver.know(*sender.getsockname())
        for data in sent:
            sender.sendto(data, address)
        for _ in range(16):
            await asyncio.sleep(0)
    assert receiver.received == sent
    await port.close()
    assert port.transport.is_closing()
