"""Addresses: ports and addresses of the server, those of viewers it may contact, and of clients."""

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


_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""RFC 1918, RFC 6598 and RFC 4193: addresses of local networks."""
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
"""RFC 1122: Linux sends packets for 0.0.0.0 to the machine itself."""
_SUBSCRIBER_BITS = 64
"""Prefix length of the network that counts for an IPv6 address: one owner has all of it."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class CandidatePolicy:
    """Which addresses of a viewer's ICE candidates the server may send connectivity checks to.

    A viewer names these addresses freely, so that without limits it could make the server send
    datagrams to services that only the server can reach. Broadcast addresses of the machine's own
    networks need no rule: the kernel refuses to send to them.
    """

    loopback: bool = False
    """Allows the machine itself; only for servers that no other machine can reach."""
    private: bool = True
    """Allows local networks, in which many viewers are."""

    def normalise(self, text: str) -> str | None:
        """Return the address to contact, IPv4 where it is mapped into IPv6; None if not allowed."""
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return None  # a host name, which is never resolved
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return None  # names an interface of another machine
            address = address.ipv4_mapped or address
        return str(address) if self._allows(address) else None

    def _allows(self, address: Address) -> bool:
        if address.is_loopback:
            return self.loopback
        if any(address in network for network in _PRIVATE):
            return self.private
        special = address.is_link_local or address.is_multicast or address.is_unspecified
        # Reserved: 240.0.0.0/4 with the broadcast address, and the IPv6 prefixes outside of
        # 2000::/3, among them those that embed IPv4 addresses (::/96, 64:ff9b::/96).
        if special or address.is_reserved or address in _THIS_NETWORK:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            embedded = address.sixtofour or (address.teredo and address.teredo[1])
            return not address.is_site_local and (not embedded or self._allows(embedded))
        return True


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


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address or `localhost`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def client_address(address: str) -> str:
    """Return the key that a client is counted by: its address, or the /64 network of IPv6."""
    try:
        ip = ipaddress.ip_address(without_mapping(address))
    except ValueError:
        return address
    if ip.version == 6:
        return str(ipaddress.ip_network((int(ip), _SUBSCRIBER_BITS), strict=False))
    return str(ip)


def without_mapping(address: str) -> str:
    """Return `1.2.3.4` for `::ffff:1.2.3.4`, and every other address as it is."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
