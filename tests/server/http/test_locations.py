"""`Location` headers: they resolve behind any proxy, and are absolute paths without one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from server.http.locations import Locations, location_of
from server.settings import Settings
from tests.server.conftest import Served, serving
from tests.server.http.test_whep import SDP, offer

PUBLIC = "https://example.org/face"
"""Public address of the server behind a proxy that strips `/face` from paths."""


@pytest.fixture(scope="module")
def behind_any_proxy() -> Iterator[Served]:
    """An app that accepts every `Host`."""
    with serving(Settings(port=0, workers=1, demo=False, insecure=True)) as running:
        yield running


def post(served: Served, path: str, head: str, body: bytes = b"{}") -> str:
    """POST with a raw request line and headers; return the `Location` of the 201 or 307."""
    lines = head.format(port=served.port).replace("\n", "\r\n")
    request = f"POST {path} {lines}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection((served.host, served.port), 10) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            status = answer.readline()
            assert status.split()[1] in (b"201", b"307"), status
            headers = dict(line.split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
    return {name.lower(): value for name, value in headers.items()}[b"location"].decode().strip()


JSON = "Content-Type: application/json"
PROXIES = {
    "nginx without settings": f"HTTP/1.0\nHost: 127.0.0.1:{{port}}\nConnection: close\n{JSON}",
    "nginx with $host": f"HTTP/1.1\nHost: example.org\nConnection: upgrade\n{JSON}",
    "HAProxy": f"HTTP/1.1\nHost: Example.org:443\n{JSON}",
    "Caddy": f"HTTP/1.1\nHost: example.org\nX-Forwarded-For: 1.2.3.4\n{JSON}",
    "Traefik": f"HTTP/1.1\nHost: 127.0.0.1:{{port}}\nX-Forwarded-Prefix: /face\n{JSON}",
    "RFC 7239": f"HTTP/1.1\nHost: 127.0.0.1:{{port}}\nForwarded: for=1.2.3.4\n{JSON}",
    "a proxy that renames the host": f"HTTP/1.1\nHost: localhost:{{port}}\nVia: 1.1 a\n{JSON}",
    "a page": f"HTTP/1.1\nHost: 127.0.0.1:{{port}}\nOrigin: http://127.0.0.1:{{port}}\n{JSON}",
}


@pytest.mark.parametrize("head", PROXIES.values(), ids=PROXIES)
def test_a_location_stays_below_the_path_of_a_proxy(behind_any_proxy: Served, head: str) -> None:
    seen = urljoin(f"{PUBLIC}/v1/streams", post(behind_any_proxy, "/v1/streams", head))
    assert seen.startswith(f"{PUBLIC}/v1/streams/")
    created = behind_any_proxy.url + seen.removeprefix(PUBLIC)
    assert httpx2.delete(created).status_code == 204


@pytest.mark.parametrize("head", PROXIES.values(), ids=PROXIES)
def test_an_extra_slash_redirects_below_the_path_of_the_proxy(
    behind_any_proxy: Served, head: str
) -> None:
    location = post(behind_any_proxy, "/v1/streams/?a=b", head)
    assert urljoin(f"{PUBLIC}/v1/streams/", location) == f"{PUBLIC}/v1/streams?a=b"


def test_without_a_proxy_a_location_is_an_absolute_path(served: Served) -> None:
    direct = f"HTTP/1.1\nHost: localhost:{{port}}\n{JSON}"
    location = post(served, "/v1/streams", direct)
    assert location.startswith("/v1/streams/")
    assert httpx2.delete(served.url + location).status_code == 204


async def test_every_location_resolves_below_the_path_of_a_proxy(
    http: httpx2.Client, stream: str
) -> None:
    http.headers["X-Forwarded-For"] = "1.2.3.4"
    whep = f"/v1/streams/{stream}/whep"
    answer = http.post(whep, content=await offer(), headers=SDP)
    location = answer.headers["location"]
    assert urljoin(PUBLIC + whep, location).startswith(f"{PUBLIC}/v1/sessions/")
    # `httpx` joins relative addresses to its base address.
    assert http.get(location).status_code == 200
    assert http.delete(location).status_code == 204


def test_addresses_of_other_servers_are_left_unchanged() -> None:
    async def redirect(request: object) -> RedirectResponse:
        return RedirectResponse("http://testserver/host1/a")

    app = Locations(Starlette(routes=[Route("/a", redirect)]))
    answer = TestClient(app).get("/a", headers={"Via": "1.1 a"}, follow_redirects=False)
    assert answer.headers["location"] == "http://testserver/host1/a"


@pytest.mark.parametrize("scope", [{}, {"root_path": ""}, {"root_path": "/face"}])
def test_a_location_begins_with_the_path_of_the_server(scope: dict[str, str]) -> None:
    connection = HTTPConnection({"type": "http", **scope})
    assert location_of(connection, "/v1/queue/a") == f"{scope.get('root_path', '')}/v1/queue/a"
