"""Interface of the placement of viewers and streams on hosts."""

from __future__ import annotations

from typing import Protocol

from server.cluster.registry import HostStatus
from server.protocol.host_load import HeldStream


class Placement(Protocol):
    """Picks a host. Each method raises the errors of the method of `Registry` with its name."""

    async def place_viewer(self, stream_id: str) -> str:
        """Return the address of the host for one more viewer of a stream."""

    async def find_stream(self, stream_id: str) -> str:
        """Return the address of the host of a stream."""

    async def place_stream(self, stream_id: str | None) -> str:
        """Return the address of the host for a new stream, or of any host for None."""

    async def place_call(self, call: str) -> str:
        """Return the address of the host of a call, or of the host for a new call."""

    async def hosts(self) -> tuple[HostStatus, ...]:
        """Return all hosts that are not lost."""

    async def streams(self) -> tuple[HeldStream, ...]:
        """Return all streams."""
