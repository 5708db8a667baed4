"""The TCP socket that the server listens on."""

from __future__ import annotations

import errno
import socket

from server.errors import SettingsError

_KEEPALIVE_IDLE_S = 20
"""TCP keepalive: a connection silent for this long is probed, and ends after three unanswered
probes, each half of this apart."""


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen, before the models are loaded, so that a taken port is reported at once.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.

    Raises:
        SettingsError: If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named by its protocol, since asyncio otherwise does not recognise TCP and leaves Nagle's
    # algorithm on: 40 ms for every response.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _enable_keepalive(listening)
    try:
        listening.bind((host, port))
        listening.listen(2048)
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
    """Let the kernel end accepted connections, which inherit this, whose peer has vanished.

    Otherwise a publisher without a network would hold its live body open for ever.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # elsewhere the system's default of two hours applies
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_IDLE_S // 2)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
