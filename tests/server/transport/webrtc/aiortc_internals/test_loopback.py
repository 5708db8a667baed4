"""127.0.0.1 is offered only if there is no other address."""

from __future__ import annotations

import aioice.ice
import pytest

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature


def test_upstream_still_calls_get_host_addresses_by_this_name() -> None:
    assert_signature(aioice.ice, "get_host_addresses", ("use_ipv4", "use_ipv6"))
    gather = aioice.ice.Connection.gather_candidates.__code__
    assert "get_host_addresses" in gather.co_names, (
        "expected Connection.gather_candidates to call aioice.ice.get_host_addresses, got no call"
    )


def test_loopback_is_offered_if_there_is_no_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return []

    monkeypatch.setattr(aioice.ice, "get_host_addresses", nothing)
    enable_loopback_fallback()
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]


def test_loopback_is_not_offered_beside_other_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["192.168.1.7"]

    monkeypatch.setattr(aioice.ice, "get_host_addresses", one)
    enable_loopback_fallback()
    enable_loopback_fallback()  # the second time changes nothing
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.168.1.7"]
