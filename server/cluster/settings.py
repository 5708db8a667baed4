"""Options of a router."""

from __future__ import annotations

from pydantic import Field

from server.access_settings import AccessSettings


class RouterSettings(AccessSettings):
    """A router in front of many hosts."""

    reached: str = Field(
        default="http://*:*,ws://*:*",
        description="hosts that the page may connect to, as in a Content-Security-Policy: "
        "https://*.gpu.example.org,wss://*.gpu.example.org",
    )

    @property
    def host_sources(self) -> tuple[str, ...]:
        """The hosts as sources of a Content-Security-Policy."""
        return tuple(source.strip() for source in self.reached.split(",") if source.strip())
