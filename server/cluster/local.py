"""Places on hosts that are listed by name, with the books in this process. Imports no Ray."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from server.auth.tokens import Tokens
from server.cluster.host import BEAT_S, Host
from server.cluster.registry import HostStatus, Registry
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)


class LocalPlacement:
    """Asks each host every second. `run` must be running.

    Args:
        addresses: `http://NAME:PORT`; a name may stand for several hosts, all of which are asked.
        tokens: Signs what the hosts are asked with; None where they ask for no token.
        registry: The books.
    """

    def __init__(
        self, addresses: Sequence[str], tokens: Tokens | None, registry: Registry | None = None
    ) -> None:
        self._addresses = addresses
        self._tokens = tokens
        self._registry = registry or Registry()
        self._silent: set[str] = set()
        """Hosts that did not answer the last time."""

    async def run(self) -> None:
        """Keep asking, for ever."""
        while True:
            found = await asyncio.gather(*map(_resolve, self._addresses))
            async with asyncio.TaskGroup() as asking:
                for address in {address for addresses in found for address in addresses}:
                    asking.create_task(self._ask(Host(address, self._tokens)))
                asking.create_task(asyncio.sleep(BEAT_S))

    async def place_viewer(self, stream_id: str) -> str:
        """See `Placement`."""
        return self._registry.place_viewer(stream_id)

    async def find_stream(self, stream_id: str) -> str:
        """See `Placement`."""
        return self._registry.find_stream(stream_id)

    async def place_stream(self, stream_id: str | None) -> str:
        """See `Placement`."""
        return self._registry.place_stream(stream_id)

    async def hosts(self) -> tuple[HostStatus, ...]:
        """See `Placement`."""
        return self._registry.hosts()

    async def streams(self) -> tuple[HeldStream, ...]:
        """See `Placement`."""
        return self._registry.streams()

    async def _ask(self, host: Host) -> None:
        try:
            await host.beat(self._renew)
        except (OSError, ValueError) as exc:
            if host.address not in self._silent:  # once, not every second
                logger.warning("%s does not tell its load: %s", host.address, exc)
            self._silent.add(host.address)
        else:
            self._silent.discard(host.address)

    async def _renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        return self._registry.renew(address, load)


async def _resolve(address: str) -> list[str]:
    """All hosts that a name stands for, such as the pods of a headless Kubernetes service."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        return [address]  # a certificate is good for the name only
    try:
        loop = asyncio.get_running_loop()
        port = parts.port or 80
        found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        logger.warning("%s: %s", parts.hostname, exc)
        return []
    return [f"http://{_bracketed(str(place[0]))}:{port}" for *_, place in found]


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
