"""Start a router in front of a list of hosts: `python -m server.cluster --help`.

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
from pydantic_settings import SettingsConfigDict

from server import logs
from server.auth.addresses import among
from server.auth.tokens import read_tokens
from server.cluster.local import LocalPlacement
from server.cluster.router import create_router
from server.cluster.serving import address_of, print_line, serve
from server.cluster.settings import RouterSettings
from server.errors import SettingsError
from server.network.connections import limit_connections
from server.network.listening import listen
from server.settings import read_settings_of


class ListSettings(RouterSettings):
    """A router in front of a list of hosts. Options come from the environment too."""

    model_config = SettingsConfigDict(cli_prog_name="python -m server.cluster")

    hosts: str = Field(
        default="",
        description="addresses of the hosts: http://10.0.0.7:8000,...; a name that resolves to "
        "several addresses counts as all of them",
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the hosts, without a trailing slash."""
        named = (address.strip().rstrip("/") for address in self.hosts.split(","))
        return tuple(address for address in named if address)


def main(arguments: list[str]) -> int:
    """Run the router until SIGINT or SIGTERM.

    Args:
        arguments: The command line without the program name.

    Returns:
        The exit code of the process.
    """
    try:
        settings = read_settings_of(ListSettings, arguments)
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
        logs.configure(settings.log_format, level)
        if not settings.addresses:
            raise SettingsError("expected --hosts with at least one address, got none")
        tokens = read_tokens(settings.tokens) if settings.tokens is not None else None
        placement = LocalPlacement(settings.addresses, tokens)
        app = create_router(settings, placement)
        connections = limit_connections(settings.max_address_connections, among(settings.proxies))
        with listen(settings.host, settings.port, connections) as listening:
            print_line(f"Telewarp routes at {address_of(listening)}")
            asyncio.run(serve(app, listening, connections, placement.run()))
    except SettingsError as exc:
        print_line(f"Telewarp cannot route: {exc}", sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
