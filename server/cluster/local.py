"""Placement on a list of hosts, with the registry in this process. Imports no Ray."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from server.auth.tokens import Tokens
from server.awake_clock import AwakeClock
from server.cluster.host import POLL_INTERVAL_S, Host
from server.cluster.registry import HostStatus, Registry
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)


class LocalPlacement:
    """Polls each host every second, while `run` is running.

    Args:
        addresses: `http://NAME:PORT`; a name may resolve to several hosts, which are all polled.
        tokens: Signs the tokens of requests; None if the hosts require none.
    """

    def __init__(self, addresses: Sequence[str], tokens: Tokens | None) -> None:
        self._addresses = addresses
        self._tokens = tokens
        self._clock = AwakeClock()
        self._registry = Registry(self._clock.now)
        self._unresponsive: set[str] = set()
        """Hosts that did not answer the last poll."""

    async def run(self) -> None:
        """Poll all hosts until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._clock.run())
            await self._poll_all()

    async def _poll_all(self) -> None:
        while True:
            found = await asyncio.gather(*map(_resolve, self._addresses))
            async with asyncio.TaskGroup() as polling:
                for address in {address for addresses in found for address in addresses}:
                    polling.create_task(self._poll(Host(address, self._tokens)))
                polling.create_task(asyncio.sleep(POLL_INTERVAL_S))

    async def place_viewer(self, stream_id: str) -> str:
        """Delegate to the registry."""
        return self._registry.place_viewer(stream_id)

    async def find_stream(self, stream_id: str) -> str:
        """Delegate to the registry."""
        return self._registry.find_stream(stream_id)

    async def place_stream(self, stream_id: str | None) -> str:
        """Delegate to the registry."""
        return self._registry.place_stream(stream_id)

    async def place_call(self, call: str) -> str:
        """Delegate to the registry."""
        return self._registry.place_call(call)

    async def hosts(self) -> tuple[HostStatus, ...]:
        """Delegate to the registry."""
        return self._registry.hosts()

    async def streams(self) -> tuple[HeldStream, ...]:
        """Delegate to the registry."""
        return self._registry.streams()

    async def _poll(self, host: Host) -> None:
        try:
            await host.poll(self._renew)
        except (OSError, ValueError) as exc:
            if host.address not in self._unresponsive:  # once, not every second
                logger.warning("%s does not report its load: %s", host.address, exc)
            self._unresponsive.add(host.address)
        else:
            self._unresponsive.discard(host.address)

    async def _renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        return self._registry.renew(address, load)


async def _resolve(address: str) -> list[str]:
    """Return all hosts that a name resolves to, such as the pods of a headless service."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        return [address]  # a certificate is valid for the name only
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
