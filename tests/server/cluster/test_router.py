"""Redirects of the router."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from server.app import create_app
from server.cluster.registry import HostStatus
from server.cluster.router import create_router, router
from server.cluster.settings import RouterSettings
from server.protocol.host_load import HeldStream
from server.settings import Settings

HOST = "http://10.0.0.7:8000"


class OneHost:
    """A placement that knows every stream, on one host."""

    async def place_viewer(self, stream_id: str) -> str:
        return HOST

    async def find_stream(self, stream_id: str) -> str:
        return HOST

    async def place_stream(self, stream_id: str | None) -> str:
        return HOST

    async def place_call(self, call: str) -> str:
        return HOST

    async def hosts(self) -> tuple[HostStatus, ...]:
        return ()

    async def streams(self) -> tuple[HeldStream, ...]:
        return ()


@pytest.mark.parametrize(
    "sent",
    [
        "me",
        "a%20b",
        "%C3%A9",
        "a%3Fpass=x",
        "a%23token=x",
        "a%25b",
        "a%0D%0ASet-Cookie:%20b=c",
        "%22%3E%3Cscript%3E",
        "%00",
    ],
)
@pytest.mark.parametrize("head", [{}, {"Via": "1.1 proxy"}], ids=["directly", "by a proxy"])
def test_a_redirect_escapes_the_stream_id(sent: str, head: dict[str, str]) -> None:
    client = TestClient(create_router(RouterSettings(), OneHost()), base_url="http://localhost")
    answer = client.get(f"/v1/streams/{sent}?a=b%20c", headers=head, follow_redirects=False)
    assert answer.status_code == 307
    location = answer.headers["location"]
    assert location.startswith(f"{HOST}/v1/streams/")
    assert location.isascii()
    assert location.isprintable()
    parts = urlsplit(location)
    assert unquote(parts.path) == f"/v1/streams/{unquote(sent)}"
    assert (parts.query, parts.fragment) == ("a=b+c", "")
    assert "set-cookie" not in answer.headers


def test_a_call_is_redirected_to_its_host_and_an_invalid_name_is_refused() -> None:
    client = TestClient(create_router(RouterSettings(), OneHost()), base_url="http://localhost")
    answer = client.get("/v1/calls/us", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{HOST}/v1/calls/us")
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/v1/calls/us", headers={"Host": "localhost"}),
    ):
        pass
    assert denied.value.headers["location"] == f"{HOST}/v1/calls/us"
    wrong = client.get("/v1/calls/us:them", follow_redirects=False)
    assert wrong.status_code == 400
    assert wrong.json()["detail"].startswith("name of a call must be 1 to 64 letters")


def calls_of_the_router() -> list[tuple[str, str]]:
    """Method, `WS` for sockets, and path of all that the router redirects."""
    calls = []
    for route in router.routes:
        if isinstance(route, APIRoute):
            calls += [(method, route.path) for method in sorted(route.methods or ())]
        elif isinstance(route, APIWebSocketRoute):
            calls.append(("WS", route.path))
    answered_here = {"/healthz", "/readyz", "/v1/hosts", "/v1/streams/{stream_id}/queue"}
    filled = {
        (method, path.format(stream_id="me", call="us", avatar_id="default"))
        for method, path in calls
        if path not in answered_here
    }
    return sorted(filled - {("GET", "/v1/streams")})


def ask(client: TestClient, method: str, address: str, **headers: str) -> httpx2.Response:
    if method != "WS":
        body = "{}" if method == "POST" else None
        return client.request(
            method, address, headers=headers, content=body, follow_redirects=False
        )
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(address, headers=headers),
    ):
        pass
    answer = denied.value
    assert isinstance(answer, httpx2.Response)
    return answer


def test_a_pass_serves_the_method_and_path_that_were_redirected(tmp_path: Path) -> None:
    file, key, token = tmp_path / "tokens.toml", "k" * 32, "s" * 16
    entry = f'[[token]]\nname = "all"\nsecret = "{token}"\nscopes = ["admin"]\n'
    file.write_text(f'signing_keys = ["{key}"]\n{entry}')
    redirecting = TestClient(create_router(RouterSettings(tokens=file), OneHost()), "http://r")
    # Parts of the host are not started: a request with a redirect token fails later, with 500 or no
    # socket.
    settings = Settings(tokens=file, public_url=HOST, max_requests_per_s=10_000)
    host = TestClient(create_app(settings), HOST, raise_server_exceptions=False)
    calls = calls_of_the_router()
    assert len(calls) > 12
    passes = {}
    for method, path in calls:
        answer = ask(redirecting, method, path, Authorization=f"Bearer {token}")
        assert answer.status_code == 307, (method, path)
        passes[method, path] = urlsplit(answer.headers["location"]).query
    for made_for, (method, path) in permutations(calls, 2):
        answer = ask(host, method, f"{path}?{passes[made_for]}")
        assert answer.status_code == 401, (made_for, method, path)
        assert f"expected a redirect token for '{method} {path}'" in answer.json()["detail"]
    for method, path in calls:
        if method == "WS":
            continue  # the browser tests cover requests with a redirect token
        address = f"{path}?{passes[method, path]}"
        assert ask(host, method, address).status_code != 401, (method, path)
        assert "has been used" in ask(host, method, address).json()["detail"]
