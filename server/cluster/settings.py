"""Options of a router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from server.access_settings import AccessSettings


class RouterSettings(AccessSettings):
    """A router in front of many hosts."""

    renamed: ClassVar[Mapping[str, str]] = {"reached": "connect_sources"}

    connect_sources: str = Field(
        default="http://*:*,ws://*:*",
        description="hosts that the page may connect to, as sources of connect-src in the "
        "Content-Security-Policy: https://*.gpu.example.org,wss://*.gpu.example.org",
    )

    @property
    def host_sources(self) -> tuple[str, ...]:
        """The hosts as sources of a Content-Security-Policy."""
        return tuple(source.strip() for source in self.connect_sources.split(",") if source.strip())
