"""Messages between two processes over a socket pair: each is a length and a pickle.

The server's end never blocks, even if a worker has stopped reading; the worker's end blocks. The
end of the channel means that the other process has ended.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from socket import MSG_DONTWAIT, socket

_HEADER = struct.Struct("!I")
_CHUNK = 1 << 16
"""Bytes per read."""


def encode(message: object) -> bytes:
    """Return the bytes of a message on the channel."""
    payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(payload)) + payload


class Decoder:
    """Reassembles messages from bytes that arrive in arbitrary pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[object]:
        """Add bytes and yield the messages that they complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            end = _HEADER.size + _HEADER.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            # Before the message is yielded: its handler may raise, and must not get it again.
            del self._buffer[:end]
            yield pickle.loads(payload)


class WorkerChannel:
    """The worker's end of the channel; blocking."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._decoder = Decoder()
        self._received: list[object] = []

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: If the other process has ended.
        """
        self._sock.sendall(encode(message))

    def receive(self) -> object:
        """Wait for a message.

        Raises:
            EOFError: If the other process has ended.
        """
        while not self._received:
            self._read(0)
        return self._received.pop(0)

    def receive_all(self, wait: bool) -> list[object]:
        """Return all messages that have arrived.

        Args:
            wait: Whether to wait for the first one; otherwise there may be none.

        Raises:
            EOFError: If the other process has ended.
        """
        with suppress(BlockingIOError):
            while wait and not self._received:
                self._read(0)
            while True:
                self._read(MSG_DONTWAIT)
        received, self._received = self._received, []
        return received

    def _read(self, flags: int) -> None:
        try:
            data = self._sock.recv(_CHUNK, flags)
        except ConnectionResetError:
            data = b""  # ended with messages of ours unread: an end like any other
        if not data:
            raise EOFError("the other end of the channel is closed")
        self._received.extend(self._decoder.feed(data))


class PoolChannel(asyncio.Protocol):
    """The server's end of the channel: sends without blocking and receives through callbacks.

    Args:
        on_message: Called with each message.
        on_end: Called once, when the other process has closed its end or has ended.
    """

    def __init__(self, on_message: Callable[[object], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._decoder = Decoder()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(
        cls, sock: socket, on_message: Callable[[object], None], on_end: Callable[[], None]
    ) -> PoolChannel:
        """Open a channel on a socket and receive messages on the running event loop."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(on_message, on_end), sock=sock)
        return channel

    def send(self, message: object) -> None:
        """Send a message; dropped if the other process has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def close(self) -> None:
        """Close the channel at once; unsent messages are dropped."""
        if self._transport is not None:
            self._transport.abort()  # `close` would wait for a process that may not read any more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport (called by asyncio)."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass complete messages to `on_message` (called by asyncio)."""
        for message in self._decoder.feed(data):
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the other end is closed (called by asyncio)."""
        self._on_end()
