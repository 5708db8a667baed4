"""Messages over a socket pair."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from server.pool.channel import Decoder, PoolChannel, WorkerChannel, encode


def test_messages_are_decoded_for_any_split_of_the_bytes() -> None:
    messages = [{"a": 1}, "b" * 300, None, list(range(50))]
    data = b"".join(encode(message) for message in messages)
    for size in (1, 3, 7, len(data)):
        decoder = Decoder()
        got: list[object] = []
        for begin in range(0, len(data), size):
            got.extend(decoder.feed(data[begin : begin + size]))
        assert got == messages


def test_a_worker_reads_messages_one_by_one_and_then_the_end_of_the_channel() -> None:
    ours, theirs = socket.socketpair()
    channel = WorkerChannel(theirs)
    with theirs:
        with ours:
            ours.sendall(encode("first") + encode("second"))
            assert channel.receive() == "first"
            assert channel.receive() == "second"
        with pytest.raises(EOFError):
            channel.receive()


async def test_the_pool_and_a_worker_exchange_messages_and_the_pool_is_told_of_the_end() -> None:
    ours, theirs = socket.socketpair()
    got: asyncio.Queue[object] = asyncio.Queue()
    ended = asyncio.Event()
    channel = await PoolChannel.open(ours, got.put_nowait, ended.set)

    def echo_one() -> None:
        with theirs:
            worker = WorkerChannel(theirs)
            worker.send(("echo", worker.receive()))

    thread = threading.Thread(target=echo_one)
    thread.start()
    channel.send({"x": 1})
    assert await asyncio.wait_for(got.get(), 5) == ("echo", {"x": 1})
    await asyncio.wait_for(ended.wait(), 5)
    channel.send("nobody is there")
    thread.join()


async def test_sending_to_a_worker_that_does_not_read_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await PoolChannel.open(ours, lambda message: None, lambda: None)
        for _ in range(4):
            channel.send(bytes(1 << 20))  # far more than the socket buffers hold
        channel.close()
        await asyncio.sleep(0)
