"""Messages between two processes over a socket pair: each is a length and a pickle.

The server's side never blocks, not even towards a worker that has stopped reading; the worker's
side does nothing but wait. The end of the channel means that the other process is gone.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable, Iterator
from socket import socket

_HEADER = struct.Struct("!I")
_CHUNK = 1 << 16


def encode(message: object) -> bytes:
    """A message as it travels."""
    payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(payload)) + payload


class Decoder:
    """Puts messages together from bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[object]:
        """Take bytes, yield the messages they complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            end = _HEADER.size + _HEADER.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield pickle.loads(payload)


class WorkerChannel:
    """The worker's end: blocking."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._decoder = Decoder()
        self._received: list[object] = []

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: If the other process is gone.
        """
        self._sock.sendall(encode(message))

    def receive(self) -> object:
        """Wait for a message.

        Raises:
            EOFError: If the other process is gone.
        """
        while not self._received:
            try:
                data = self._sock.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError("the other end of the channel is closed")
            self._received.extend(self._decoder.feed(data))
        return self._received.pop(0)


class PoolChannel(asyncio.Protocol):
    """The server's end: sends without waiting, calls back on what comes.

    Args:
        on_message: Called with each message.
        on_end: Called once, when the other process has closed its end or is gone.
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
        """Take over a socket and listen to it on the running loop."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(on_message, on_end), sock=sock)
        return channel

    def send(self, message: object) -> None:
        """Send a message; nothing happens if the other process is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def close(self) -> None:
        """Stop listening at once; what was not sent yet is lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what we write to (asyncio calls this)."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on the messages these bytes complete (asyncio calls this)."""
        for message in self._decoder.feed(data):
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the other end is gone (asyncio calls this)."""
        self._on_end()
