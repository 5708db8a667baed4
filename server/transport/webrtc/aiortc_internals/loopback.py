"""Make aioice offer 127.0.0.1 as a host candidate when the machine has no other address."""

from __future__ import annotations

import aioice.ice


def enable_loopback_fallback() -> None:
    """Let aioice offer 127.0.0.1 where no other address exists, such as in a network namespace.

    aioice leaves loopback addresses out, so it would offer no candidate at all. Calling this again
    changes nothing.
    """
    get_host_addresses = aioice.ice.get_host_addresses
    if getattr(get_host_addresses, "offers_loopback", False):
        return

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return get_host_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6) or ["127.0.0.1"]

    with_loopback.offers_loopback = True  # type: ignore[attr-defined]  # marks the function as replaced
    aioice.ice.get_host_addresses = with_loopback
