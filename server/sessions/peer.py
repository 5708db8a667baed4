"""A session's interface to its transport, which WebRTC and the JPEG fallback implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Peer(Protocol):
    """The transport of a session."""

    async def answer(self, offer_sdp: str) -> str:
        """Answer the viewer's SDP offer and start to pull frames."""

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Add trickled ICE candidates."""

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event to the viewer, or drop it if no channel is open."""

    async def close(self) -> None:
        """Close the connection and stop pulling frames."""
