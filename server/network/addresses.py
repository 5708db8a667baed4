"""Network reachability: the UDP ports that media may use and the advertised address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Reachability:
    """Restrictions on the server's own ICE candidates."""

    udp_ports: range | None = None
    """Ports that media may use; None for any."""
    public_address: str | None = None
    """Advertised address of a 1:1 NAT that maps every port to itself."""


def parse_ports(text: str) -> range:
    """Parse a range of ports such as `40000-40100`, or one port.

    Raises:
        ValueError: If it is not a range of valid ports.
    """
    first, dash, last = text.partition("-")
    try:
        ports = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise ValueError(f"{text!r} is no range of ports") from None
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise ValueError(f"{text!r} is no range of ports between 1 and 65535")
    return ports


def parse_address(text: str) -> str:
    """Parse an IP address; host names are rejected, since nothing resolves them.

    Raises:
        ValueError: If it is not an IP address.
    """
    return str(ipaddress.ip_address(text))


def parse_networks(text: str) -> tuple[str, ...]:
    """Parse addresses and networks with commas between, such as `127.0.0.1,10.0.0.0/8`.

    Raises:
        ValueError: If one is neither, or has bits set that its mask leaves out.
    """
    named = (part.strip() for part in text.split(","))
    networks = (ipaddress.ip_network(name) for name in named if name)
    return tuple(
        str(net.network_address) if net.num_addresses == 1 else str(net) for net in networks
    )
