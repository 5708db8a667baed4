"""An expired token ends the sockets, live bodies and sessions opened with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from server.settings import Settings
from tests.server.conftest import Served, serving
from tests.server.http.test_whep import offer


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    made.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    return made


@pytest.fixture(scope="module")
def token_server(file: Path) -> Iterator[Served]:
    with serving(Settings(port=0, workers=1, max_sessions=3, tokens=file)) as running:
        yield running


def short(tokens: Tokens, seconds: float) -> dict[str, str]:
    scopes = [Scope.VIEW, Scope.PUBLISH]
    signed = tokens.sign_claims(scopes, None, exp=time.time() + seconds)
    return {"Authorization": f"Bearer {signed}"}


@pytest.mark.alone
async def test_everything_opened_with_a_token_ends_when_it_expires(
    token_server: Served, file: Path
) -> None:
    tokens = read_tokens(file)
    headers, began = short(tokens, 2.0), time.monotonic()
    with httpx2.Client(base_url=token_server.url, timeout=10) as http:
        sdp = headers | {"Content-Type": "application/sdp"}
        opened = http.post("/v1/streams/demo/whep", content=await offer(), headers=sdp)
        assert opened.status_code == 201
        address = f"ws://{token_server.host}:{token_server.port}/v1/streams/demo/frames"
        with (
            connect(address, additional_headers=headers) as socket,
            pytest.raises(ConnectionClosed) as caught,
        ):
            socket.recv(6)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, "expired" in caught.value.rcvd.reason) == (4401, True)
        assert time.monotonic() - began < 3.5

        def lines() -> Iterator[bytes]:
            for seq in range(100):
                yield b'{"seq": %d}\n' % seq
                time.sleep(0.05)

        ndjson = short(tokens, 1.5) | {"Content-Type": "application/x-ndjson"}
        answer = http.post("/v1/streams/demo/frames", content=lines(), headers=ndjson)
        assert answer.status_code == 401
        assert "expired" in answer.json()["detail"]
        admin = {"Authorization": f"Bearer {tokens.sign([Scope.ADMIN], None, 5)}"}
        assert http.get("/v1/sessions", headers=admin).json() == []
