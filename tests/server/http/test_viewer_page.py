"""Files of the viewer page that are served, for every spelling of a path."""

from __future__ import annotations

import socket

import httpx2
import pytest

from tests.server.conftest import Served


def status(served: Served, path: str) -> int:
    """Request a path unchanged; HTTP clients would resolve its dots."""
    with socket.create_connection((served.host, served.port), 5) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        return int(connection.recv(100).split()[1])


@pytest.mark.parametrize("path", ["/", "/index.html", "/js/main.js", "/j%73/main.js"])
def test_the_files_of_the_page_are_served(served: Served, path: str) -> None:
    assert status(served, path) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/./package.json",
        "/%2e/package.json",
        "/%2E%2Fpackage.json",
        "//package.json",
        "/js/../package.json",
        "/js/%2e%2e/package.json",
        "/js%2F..%2Fpackage.json",
        "/package%2ejson",
        "/README.md/",
        "/../server/app.py",
        "/%2e%2e/server/app.py",
        "/..%2fpyproject.toml",
        "/js/./main.js",
        "/js/%00",
    ],
)
def test_a_private_file_is_not_served_under_another_spelling(served: Served, path: str) -> None:
    assert status(served, path) == 404


def test_the_page_of_calls_is_served_for_a_query_that_names_a_call(http: httpx2.Client) -> None:
    for path in ("/?call=us", "/?call", "/call.html"):
        assert 'src="js/call.js"' in http.get(path).text, path
    for path in ("/", "/?stream=call", "/index.html?call=us"):
        assert 'src="js/main.js"' in http.get(path).text, path
