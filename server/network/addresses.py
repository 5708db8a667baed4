"""Where viewers can reach this machine: the ports it may use, and the address it is known by."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Reachability:
    """How the server's own addresses are offered."""

    udp_ports: range | None = None
    """Ports that media may use; None for any."""
    public_address: str | None = None
    """Known outside by this address, every port mapped to the same one (1:1 NAT)."""


def parse_ports(text: str) -> range:
    """Read `40000-40100`, or one port.

    Raises:
        ValueError: If it is none.
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
    """Read an IP address; a name would be looked up by nobody.

    Raises:
        ValueError: If it is none.
    """
    return str(ipaddress.ip_address(text))
