"""Origins are compared in their normal form."""

from __future__ import annotations

import pytest

from server.network.origins import is_among, is_page_of, normal_origin, parse_origins


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("HTTPS://A.Example:443", "https://a.example"),
        ("http://A.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[FE80::1]:9000", "http://[fe80::1]:9000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://*.a.example", "https://*.a.example"),
        ("null", "null"),
    ],
)
def test_an_origin_is_normalised_as_browsers_write_it(written: str, normal: str) -> None:
    assert normal_origin(written) == normal


@pytest.mark.parametrize(
    "text",
    [
        "a.example",
        "//a.example",
        "https://",
        "https://a.example/page",
        "https://a.example?x",
        "https://a.example#x",
        "https://me@a.example",
        "https://a.example:port",
        "https://a.example:99999",
        "https://[::1",
        "*",
        "",
    ],
)
def test_an_invalid_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        normal_origin(text)
    assert not is_among(text, [text])


def test_a_list_of_origins_may_contain_spaces_and_a_wildcard() -> None:
    assert parse_origins(" https://A.example , *,") == ("https://a.example", "*")
    assert parse_origins("") == ()


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://face.example", "face.example", True),
        ("https://face.example", "Face.Example:443", True),
        ("https://face.example:443", "face.example", True),
        ("http://face.example", "face.example:80", True),
        ("http://FACE.example:8000", "face.example:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("https://face.example", "face.example:80", False),
        ("http://face.example", "face.example:443", False),
        ("https://face.example:8443", "face.example", False),
        ("https://other.example", "face.example", False),
        ("https://face.example.other", "face.example", False),
        ("https://face.example@other", "face.example", False),
        ("null", "face.example", False),
        ("null", "", False),
        ("https://face.example", "", False),
        ("https://", "", False),
    ],
)
def test_only_a_page_of_the_hosts_own_origin_is_same_origin(
    origin: str, host: str, same: bool
) -> None:
    assert is_page_of(origin, host) == same
