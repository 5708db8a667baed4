"""The TCP socket that the server listens on, which counts and limits accepted connections."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Any

from server.errors import SettingsError
from server.network.connections import Connections

_KEEPALIVE_IDLE_S = 20
"""TCP keepalive: a connection silent for this long is probed, and ends after three unanswered
probes, each half of this apart."""


_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_ACCEPTS = 32
"""Connections accepted in one step of the event loop."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class _CountedSocket(socket.socket):
    """An accepted connection that reports its end."""

    def __init__(self, accepted: socket.socket, connections: Connections, address: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._connections: Connections | None = connections
        self._address = address

    def close(self) -> None:
        super().close()
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.ended(self._address)


class ListeningSocket(socket.socket):
    """A listening socket whose `accept` refuses connections above the limits.

    asyncio calls `accept` until it raises `BlockingIOError`. Refused connections are accepted and
    closed: otherwise they would keep the socket readable and the event loop busy. If no descriptor
    is left, the reserved one is used for that; asyncio would log a traceback for each connection.
    """

    connections: Connections | None = None
    """The limits; None for none."""
    _spare: int | None = None
    _accepts_left = _ACCEPTS

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection that is within the limits.

        Raises:
            BlockingIOError: If none waits, and after `_ACCEPTS` ones: the event loop must see them
                before newer ones can replace them, and run other tasks.
        """
        for _ in range(self._accepts_left):
            self._accepts_left -= 1
            try:
                accepted, address = super().accept()
            except OSError as exc:
                if exc.errno not in _EXHAUSTED:
                    raise
                self._refuse_without_descriptor()
                continue
            if self.connections is None:
                return accepted, address
            if self.connections.admit(address[0]):
                return _CountedSocket(accepted, self.connections, address[0]), address
            _refuse(accepted)
        self._accepts_left = _ACCEPTS
        raise BlockingIOError(errno.EAGAIN, "others are due")

    def reserve_descriptor(self) -> None:
        """Reserve a descriptor for refusals."""
        if self._spare is None:
            self._spare = os.open(os.devnull, os.O_RDONLY)

    def close(self) -> None:
        """Close the socket and free the reserved descriptor."""
        super().close()
        self._free_descriptor()

    def _refuse_without_descriptor(self) -> None:
        """Refuse one connection with the reserved descriptor.

        Raises:
            BlockingIOError: If no connection waits, or another thread has taken the descriptor.
        """
        self._free_descriptor()
        try:
            accepted, _ = super().accept()
        except OSError as exc:
            raise BlockingIOError(errno.EAGAIN, "no descriptor is left") from exc
        _refuse(accepted)
        with suppress(OSError):
            self.reserve_descriptor()
        if self.connections is not None:
            self.connections.refuse()

    def _free_descriptor(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def _refuse(accepted: socket.socket) -> None:
    with accepted, suppress(OSError):
        accepted.setblocking(False)
        accepted.send(_REFUSAL)


def listen(host: str, port: int, connections: Connections | None = None) -> ListeningSocket:
    """Bind and listen, before the models are loaded, so that a taken port is reported at once.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        connections: Limits of accepted connections; None for none.

    Raises:
        SettingsError: If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named by its protocol, since asyncio otherwise does not recognise TCP and leaves Nagle's
    # algorithm on: 40 ms for every response.
    listening = ListeningSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.connections = connections
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _enable_keepalive(listening)
    try:
        listening.bind((host, port))
        listening.listen(2048)
        listening.reserve_descriptor()
    except OSError as exc:
        listening.close()
        place = f"{host}:{port}"
        if exc.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"{place} is taken by another program; choose another --port"
            ) from exc
        raise SettingsError(f"cannot listen on {place}: {exc.strerror or exc}") from exc
    return listening


def _enable_keepalive(listening: socket.socket) -> None:
    """Let the kernel end connections to unreachable peers; accepted connections inherit this.

    Otherwise a publisher without a network would keep its live body open for ever.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # elsewhere the system's default of two hours applies
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_IDLE_S // 2)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
