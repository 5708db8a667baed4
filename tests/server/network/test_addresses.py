"""Ports and addresses as they are set."""

from __future__ import annotations

import pytest

from server.network.addresses import parse_address, parse_ports


def test_a_range_of_ports_has_both_ends() -> None:
    assert parse_ports("40000-40100") == range(40000, 40101)
    assert parse_ports("5000") == range(5000, 5001)


@pytest.mark.parametrize("text", ["", "a-b", "5-", "-5", "100-99", "0-5", "65000-65536"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no range of ports"):
        parse_ports(text)


def test_an_address_is_no_name() -> None:
    assert parse_address("2001:DB8::1") == "2001:db8::1"
    with pytest.raises(ValueError, match=r"example\.org"):
        parse_address("example.org")
