"""Observe the ICE checks of a viewer, which every WebRTC endpoint sends as long as it exists.

Browsers send one every few seconds, and aiortc about every five (consent, RFC 7675), whether or not
any video is received.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender


def observe_checks(sender: RTCRtpSender, check_received: Callable[[], None]) -> None:
    """Call `check_received` for every authenticated ICE check from now on.

    Must be called after the transport is final and before the connection is established.
    """
    connection = sender.transport.transport._connection
    check_incoming = connection.check_incoming  # called once a check's credentials are verified

    def check(message: Any, addr: tuple[str, int], protocol: Any) -> None:
        check_received()
        check_incoming(message, addr, protocol)

    connection.check_incoming = check  # type: ignore[method-assign]  # replaced, of this object only
