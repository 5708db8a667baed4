"""Where viewers and streams go, whoever keeps the books."""

from __future__ import annotations

from typing import Protocol

from server.cluster.registry import HostStatus
from server.protocol.host_load import HeldStream


class Placement(Protocol):
    """Picks a host. What each call raises, `Registry` says."""

    async def place_viewer(self, stream_id: str) -> str:
        """The address of the host for one more viewer of a stream."""

    async def find_stream(self, stream_id: str) -> str:
        """The address of the host where a stream is."""

    async def place_stream(self, stream_id: str | None) -> str:
        """The address of the host for a new stream, or for what any host can do."""

    async def hosts(self) -> tuple[HostStatus, ...]:
        """All hosts that are not lost."""

    async def streams(self) -> tuple[HeldStream, ...]:
        """All streams."""
