"""Redirects of the router."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from server.cluster.registry import HostStatus
from server.cluster.router import create_router
from server.cluster.settings import RouterSettings
from server.protocol.host_load import HeldStream

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
