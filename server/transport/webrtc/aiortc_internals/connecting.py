"""Let a connection end while it is being established."""

from __future__ import annotations

import logging

from aiortc import RTCPeerConnection
from aiortc.exceptions import InvalidStateError

logger = logging.getLogger(__name__)

_CONNECT = "_RTCPeerConnection__connect"


def allow_early_end(connection: RTCPeerConnection) -> None:
    """Make a connection that is closed while it connects end without an exception.

    aiortc connects its transports one after the other, in a task that is never awaited. If the
    connection is closed meanwhile, the next transport is closed already: starting it raises, and
    the log shows a traceback without an error.
    """
    connect = getattr(connection, _CONNECT)

    async def connect_unless_closed() -> None:
        try:
            await connect()
        except InvalidStateError as exc:
            logger.info("a connection ended before all its transports were started: %s", exc)

    setattr(connection, _CONNECT, connect_unless_closed)
