"""Starts a router in front of hosts that are listed: `python -m server.cluster --help`.

    python -m server.cluster --hosts http://10.0.0.7:8000,http://10.0.0.8:8000 --tokens t.toml

Hosts are plain servers (`python -m server`) with the same tokens, a `--public-url` of their own,
and the router's address among their `--allowed-origins`. With Ray instead of a list:
`scripts/cluster.py`.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from pydantic import Field

from server.auth.tokens import read_tokens
from server.cluster.local import LocalPlacement
from server.cluster.router import create_router
from server.cluster.serving import RouterSettings, address_of, say, serve
from server.errors import SettingsError
from server.network.listening import listen
from server.settings import read_settings_of


class ListSettings(RouterSettings):
    """A router in front of hosts that are listed. Most of the server's other options do nothing."""

    hosts: str = Field(
        default="",
        description="addresses to ask hosts for their load: http://10.0.0.7:8000,...; a name may "
        "stand for several of them",
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the hosts, without a slash at the end."""
        named = (address.strip().rstrip("/") for address in self.hosts.split(","))
        return tuple(address for address in named if address)


def main(arguments: list[str]) -> int:
    """Route until told to end. Returns the exit code."""
    try:
        settings = read_settings_of(ListSettings, arguments)
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        if not settings.addresses:
            raise SettingsError("expected --hosts with at least one address, got none")
        tokens = read_tokens(settings.tokens) if settings.tokens is not None else None
        placement = LocalPlacement(settings.addresses, tokens)
        app = create_router(settings, placement, settings.host_sources)
        with listen(settings.host, settings.port) as listening:
            say(f"Telewarp routes at {address_of(listening)}")
            asyncio.run(serve(app, listening, placement.run()))
    except SettingsError as exc:
        say(f"Telewarp cannot route: {exc}", sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
