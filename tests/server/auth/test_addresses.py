"""Client addresses: `X-Forwarded-For` from trusted proxies only; one client per IPv6 /64."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from server.auth.addresses import address_matcher, behind_proxies
from server.errors import SettingsError
from server.network.addresses import client_address
from server.settings import read_settings


async def address_seen(peer: str, forwarded: str, *trusted: str) -> str:
    """Return the client address that an application sees."""
    found: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope["client"][0])

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 5),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    await behind_proxies(app, trusted)(scope, None, None)  # type: ignore[arg-type]  # never received from or sent to
    return found[0]


async def test_forwarded_addresses_are_ignored_by_default() -> None:
    assert await address_seen("127.0.0.1", "192.0.2.9") == "127.0.0.1"


async def test_the_last_forwarded_address_that_is_no_trusted_proxy_is_the_client() -> None:
    trusted = ("127.0.0.1", "10.0.0.0/8")
    assert (
        await address_seen("127.0.0.1", "192.0.2.1, 192.0.2.9, 10.1.1.1", *trusted) == "192.0.2.9"
    )
    assert await address_seen("::ffff:10.0.0.7", "192.0.2.1, 192.0.2.9", *trusted) == "192.0.2.9"
    assert await address_seen("192.0.2.77", "192.0.2.9", *trusted) == "192.0.2.77"


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::2", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ff::9", "2001:db8:0:1::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str, client: str) -> None:
    assert client_address(address) == client


@pytest.mark.parametrize("given", ["*", "proxy.example", "10.0.0.1/8"])
def test_trusted_proxies_must_be_addresses_or_networks(given: str) -> None:
    with pytest.raises(SettingsError, match="expected addresses and networks"):
        read_settings([f"--trusted-proxies={given}"])
    assert read_settings(["--trusted-proxies=::1,10.0.0.0/8"]).proxies == ("::1", "10.0.0.0/8")


def test_proxies_are_recognized_by_address_and_network() -> None:
    is_proxy = address_matcher(["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"])
    for proxy in ("127.0.0.1", "10.3.4.5", "::ffff:10.3.4.5", "2001:db8::7"):
        assert is_proxy(proxy), proxy
    for other in ("127.0.0.2", "2001:db9::7", "testclient"):
        assert not is_proxy(other), other
    assert not address_matcher([])("127.0.0.1")
