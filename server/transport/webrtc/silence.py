"""Tell when the other end of a connection counts as disconnected: ICE alone needs 31 s for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server.awake_clock import Stopwatch

_CHECK_S = 0.5
"""Seconds between checks for silence, whose limits are several seconds."""
CONSENT_S = 15.0
"""Seconds without an ICE check after which a peer that can send nothing else counts as
disconnected: two checks in a row are lost, which are sent at most 6 s apart (RFC 7675)."""


class Silence:
    """What was last received from a peer.

    Args:
        timeout_s: Seconds without a keepalive after which the peer counts as disconnected.
        clock: Seconds; must not advance while the server does not run.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self.timeout_s = timeout_s
        self.keepalive = Stopwatch(clock)
        self.keepalive.restart()
        self.ice_check = Stopwatch(clock)
        self.ice_checks_count = True
        """Whether a peer that sends ICE checks only counts as connected."""

    @property
    def too_long(self) -> bool:
        """Whether the peer counts as disconnected."""
        if self.keepalive.elapsed_s < self.timeout_s:
            return False
        limit_s = max(self.timeout_s, CONSENT_S)
        return not self.ice_checks_count or self.ice_check.elapsed_s >= limit_s

    async def wait_until_too_long(self) -> None:
        """Return once the peer counts as disconnected."""
        while not self.too_long:
            await asyncio.sleep(_CHECK_S)
