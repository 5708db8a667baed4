"""Gather the server's ICE candidates from a range of ports and with a public address.

aioice binds any free port, does not support 1:1 NAT, and waits 5 s for a STUN or TURN server that
does not answer, so its gathering is replaced here.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import random
from collections.abc import Sequence
from contextlib import suppress

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aioice.stun import TransactionError
from aiortc import RTCIceServer, RTCPeerConnection

from server.errors import PoolBusyError
from server.network.addresses import Reachability
from server.network.ice_servers import IceServer
from server.transport.webrtc.aiortc_internals.inbound_limits import (
    LimitedStunProtocol,
    ice_connections,
)

logger = logging.getLogger(__name__)

_STUN_TIMEOUT_S = 2
"""Longest time that STUN and TURN servers delay an answer; later candidates are left out."""


def as_aiortc(servers: Sequence[IceServer]) -> list[RTCIceServer]:
    """Convert ICE servers to aiortc's type; aiortc uses the first STUN and first TURN server."""
    return [RTCIceServer(s.url, s.username, s.credential) for s in servers]


def gather_within(connection: RTCPeerConnection, reachability: Reachability) -> None:
    """Make a connection gather candidates within the ports and addresses of `reachability`.

    Must be called after the remote offer is set and before the local answer is.
    """
    for ice in ice_connections(connection):
        ice.get_component_candidates = _Gathering(ice, reachability).gather  # type: ignore[method-assign]  # replaced, of this object only


class _Gathering:
    """Replaces `get_component_candidates` of one aioice connection."""

    def __init__(self, ice: Connection, reachability: Reachability) -> None:
        self._ice = ice
        self._reachability = reachability
        self._gather_upstream = ice.get_component_candidates

    async def gather(
        self, component: int, addresses: list[str], timeout: int = _STUN_TIMEOUT_S
    ) -> list[Candidate]:
        """Open a port on every address, and query the STUN and TURN servers.

        Raises:
            PoolBusyError: If all ports of the range are in use.
        """
        hosts = await self._open_all(component, addresses)
        # Without addresses, aioice gathers from the TURN server only.
        relayed = self._gather_upstream(component, [], min(timeout, _STUN_TIMEOUT_S))
        found = await asyncio.gather(relayed, *(self._public_candidates(host) for host in hosts))
        return [host.local_candidate for host in hosts] + [c for part in found for c in part]

    async def _open_all(self, component: int, addresses: list[str]) -> list[StunProtocol]:
        hosts = []
        full = False
        for address in addresses:
            try:
                host = await self._open(address)
            except OSError as exc:
                full = full or exc.errno == errno.EADDRINUSE
                logger.info("no UDP port on %s: %s", address, exc)
                continue
            self._ice._protocols.append(host)  # so that closing the connection closes it
            host.local_candidate = _host_candidate(component, host)
            hosts.append(host)
        if full and not hosts:
            ports = self._reachability.udp_ports
            assert ports is not None
            raise PoolBusyError(f"all UDP ports from {ports[0]} to {ports[-1]} are in use")
        return hosts

    async def _open(self, address: str) -> StunProtocol:
        loop = asyncio.get_running_loop()
        for port in self._ports():
            try:
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: LimitedStunProtocol(self._ice), local_addr=(address, port)
                )
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise
                continue
            return protocol
        raise OSError(errno.EADDRINUSE, "all ports are in use")

    def _ports(self) -> list[int]:
        """Return the ports in the order to try; a random start spreads the load over the range."""
        ports = self._reachability.udp_ports
        if ports is None:
            # Port 0 lets the system choose.
            return [0]
        first = random.randrange(len(ports))
        return [*ports[first:], *ports[:first]]

    async def _public_candidates(self, host: StunProtocol) -> list[Candidate]:
        """Return the port's public candidate, from the settings or from the STUN server."""
        local = host.local_candidate
        version = ipaddress.ip_address(local.host).version
        public = self._reachability.public_address
        if public is not None and ipaddress.ip_address(public).version == version:
            return [_public_candidate(local, public)]
        # aioice looks the STUN server up by `gethostbyname`, which supports IPv4 only.
        if self._ice.stun_server is None or version != 4:
            return []
        with suppress(TimeoutError, TransactionError, OSError):
            async with asyncio.timeout(_STUN_TIMEOUT_S):
                candidate, _ = await server_reflexive_candidate(host, self._ice.stun_server)
                return [candidate]
        return []


def _host_candidate(component: int, protocol: StunProtocol) -> Candidate:
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )


def _public_candidate(local: Candidate, public: str) -> Candidate:
    """Return a candidate of the public address.

    It is offered beside the host candidate, so that viewers in the same network still connect
    directly.
    """
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", public),
        component=local.component,
        transport="udp",
        priority=candidate_priority(local.component, "srflx"),
        host=public,
        port=local.port,
        type="srflx",
        related_address=local.host,
        related_port=local.port,
    )
