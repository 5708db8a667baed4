"""Settings of UDP ports and addresses, and destinations of ICE checks."""

from __future__ import annotations

import pytest

from server.network.addresses import CandidatePolicy, parse_address, parse_ports


def test_a_range_of_ports_has_both_ends() -> None:
    assert parse_ports("40000-40100") == range(40000, 40101)
    assert parse_ports("5000") == range(5000, 5001)


@pytest.mark.parametrize("text", ["", "a-b", "5-", "-5", "100-99", "0-5", "65000-65536"])
def test_an_invalid_port_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no range of ports"):
        parse_ports(text)


def test_an_advertised_address_must_not_be_a_host_name() -> None:
    assert parse_address("2001:DB8::1") == "2001:db8::1"
    with pytest.raises(ValueError, match=r"example\.org"):
        parse_address("example.org")


PUBLIC = ("198.51.100.7", "8.8.8.8", "2001:db8::7", "2606:4700::1111")
PRIVATE = ("10.1.2.3", "172.31.0.9", "192.168.1.7", "100.64.0.1", "fd00::7")
NEVER = (
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.251", "240.0.0.1", "255.255.255.255"),
    *("::", "fe80::1", "fe80::1%eth0", "2001:db8::1%eth0", "fec0::1", "ff02::fb", "::7f00:1"),
    *("64:ff9b::7f00:1", "2002:a9fe:a9fe::", "::ffff:169.254.169.254"),
    *("localhost", "example.org", "5c1b.local", "127.1", "0177.0.0.1", "2130706433", ""),
)


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE])
def test_ice_checks_are_sent_to_public_and_private_addresses(address: str) -> None:
    assert CandidatePolicy().normalise(address) == address


@pytest.mark.parametrize("address", NEVER)
def test_ice_checks_are_never_sent_to_special_addresses_and_names(address: str) -> None:
    assert CandidatePolicy(loopback=True).normalise(address) is None


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.1.2.3", "2002:a01:203::"])
def test_local_networks_can_be_denied(address: str) -> None:
    assert CandidatePolicy(private=False).normalise(address) is None


def test_ice_checks_go_to_loopback_only_if_the_server_listens_on_loopback() -> None:
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"):
        assert CandidatePolicy().normalise(address) is None
        assert CandidatePolicy(loopback=True).normalise(address) is not None


def test_an_ipv4_address_in_ipv6_form_becomes_ipv4() -> None:
    assert CandidatePolicy().normalise("::ffff:198.51.100.7") == "198.51.100.7"
    assert CandidatePolicy().normalise("2001:0DB8:0::7") == "2001:db8::7"
