"""Authentication: tokens over HTTP and WebSocket; without tokens, Host and Origin."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from server.app import create_app, pool_settings
from server.auth.authentication import Authenticator, build_authenticator, token_of
from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from server.errors import ForbiddenError, SettingsError
from server.network.addresses import is_loopback
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.settings import Settings

SDP = {"Content-Type": "application/sdp"}
SIGNING = 'signing_keys = ["a key of thirty-two bytes or more"]'


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    created = tmp_path / "tokens.toml"
    created.write_text(SIGNING)
    return created


@pytest.fixture
def tokens(token_file: Path) -> Tokens:
    return read_tokens(token_file)


def app(**settings: Any) -> Any:
    return create_app(
        Settings(demo=False, **settings),
        lambda given: RenderPool(pool_settings(given), FakeEngineFactory()),
    )


def bearer(tokens: Tokens, *scopes: Scope, streams: list[str] | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.sign(scopes, streams, 5)}"}


def connection(**headers: str) -> HTTPConnection:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": pairs})


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    served = app(**settings)
    transport = httpx2.ASGITransport(served)
    async with (
        served.router.lifespan_context(served),
        httpx2.AsyncClient(transport=transport, base_url="http://telewarp.example") as client,
    ):
        yield client


# --- start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "a.localhost"])
def test_loopback_addresses_need_no_tokens(host: str) -> None:
    assert is_loopback(host)
    assert not build_authenticator(Settings(host=host)).reachable_by_others


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "a.example", "localhost.de"])
def test_other_addresses_are_refused_without_tokens(host: str) -> None:
    with pytest.raises(SettingsError, match="expected --tokens FILE"):
        create_app(Settings(host=host))


def test_other_addresses_are_allowed_with_tokens(token_file: Path) -> None:
    assert build_authenticator(Settings(host="0.0.0.0", tokens=token_file)).reachable_by_others


def test_insecure_admits_everyone_and_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        authenticator = build_authenticator(Settings(host="0.0.0.0", insecure=True))
    assert "ANYONE who reaches 0.0.0.0:8000" in caplog.text
    assert authenticator.identify(connection(host="telewarp.example")).holder == "anyone"


# --- without tokens -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000"])
def test_without_tokens_requests_from_loopback_are_allowed(host: str) -> None:
    authenticator = build_authenticator(Settings())
    assert authenticator.identify(connection(host=host)).allows(Scope.ADMIN)
    assert authenticator.identify(connection(host=host, origin=f"http://{host}")).allows(
        Scope.ADMIN
    )


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("Face.Example", "https://face.example"),
        ("face.example:443", "https://face.example"),
        ("face.example", "http://FACE.example:80"),
    ],
)
def test_an_origin_of_this_server_is_recognized_in_every_spelling(host: str, origin: str) -> None:
    authenticator = build_authenticator(Settings(insecure=True))
    assert authenticator.identify(connection(host=host, origin=origin)).allows(Scope.VIEW)
    allowed = build_authenticator(Settings(allowed_origins=origin.upper()))
    assert allowed.identify(connection(host="localhost", origin=origin)).allows(Scope.VIEW)


@pytest.mark.parametrize("host", ["attacker.example", "192.168.1.5:8000", "", "[", "127.0.0.1.de"])
def test_without_tokens_a_foreign_host_name_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenError, match="set --tokens"):
        build_authenticator(Settings()).identify(connection(host=host))


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "http://localhost:9"])
def test_without_tokens_a_page_of_another_origin_is_refused(origin: str) -> None:
    request = connection(host="localhost:8000", origin=origin)
    with pytest.raises(ForbiddenError, match="expected a page of this server"):
        build_authenticator(Settings()).identify(request)
    assert build_authenticator(Settings(allowed_origins=f"https://a.example, {origin}")).identify(
        request
    )
    assert build_authenticator(Settings(allowed_origins="*")).identify(request)


EMBEDDED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_without_tokens_an_image_in_a_page_of_another_origin_is_refused(site: str) -> None:
    # Browsers send no Origin for <img>; another port of this machine is "same-site".
    request = connection(**{"host": "localhost:8000", **EMBEDDED, "sec-fetch-site": site})
    with pytest.raises(ForbiddenError, match="got one of another"):
        build_authenticator(Settings()).identify(request)
    assert build_authenticator(Settings(allowed_origins="*")).identify(request)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a link
        {},  # a program
    ],
)
def test_without_tokens_own_pages_links_and_programs_are_allowed(headers: dict[str, str]) -> None:
    request = connection(host="localhost:8000", **headers)
    assert build_authenticator(Settings()).identify(request)


# --- with tokens ----------------------------------------------------------------------------------


def test_a_token_is_taken_from_the_header_and_never_from_the_address() -> None:
    assert token_of(connection(authorization="Bearer abc")) == "abc"
    assert token_of(connection(authorization="bearer  abc ")) == "abc"
    assert token_of(connection(authorization="Bearer ")) is None
    query = {"type": "http", "headers": [], "query_string": b"token=abc"}
    assert token_of(HTTPConnection(query)) is None


def test_with_tokens_loopback_requests_are_authenticated_by_token(tokens: Tokens) -> None:
    authenticator = Authenticator(tokens, False, ())
    token = tokens.sign([Scope.VIEW], None, 1)
    other_page = connection(authorization=f"Bearer {token}", origin="https://a.example")
    assert authenticator.identify(other_page).scopes == {Scope.VIEW}


@pytest.fixture
def sockets(token_file: Path) -> Iterator[TestClient]:
    with TestClient(app(tokens=token_file), base_url="http://telewarp.example") as client:
        yield client


@pytest.mark.parametrize("by", ["header", "subprotocol"])
def test_a_websocket_takes_its_token_from_the_header_or_a_subprotocol(
    sockets: TestClient, tokens: Tokens, by: str
) -> None:
    publisher = tokens.sign([Scope.PUBLISH], ["me"], 1)
    authorization = {"Authorization": f"Bearer {publisher}"}
    created = sockets.post(
        "/v1/streams", json={"avatar": "default", "id": "me"}, headers=authorization
    )
    assert created.status_code == 201
    offered = None if by == "header" else ["telewarp", f"telewarp.token.{publisher}"]
    headers = authorization if by == "header" else {}
    with sockets.websocket_connect("/v1/streams/me/frames", offered, headers=headers) as socket:
        assert socket.accepted_subprotocol == (None if by == "header" else "telewarp")
        socket.send_text(json.dumps({"seq": 0, "expression": {"jawOpen": 7}}))
        assert socket.receive_json()["type"] == "error"


async def test_a_token_for_some_streams_cannot_create_or_list_others(
    token_file: Path, tokens: Tokens
) -> None:
    own = bearer(tokens, Scope.PUBLISH, Scope.VIEW, streams=["me"])
    async with running(tokens=token_file) as client:
        for wanted in ({"id": "you"}, {}):
            created = await client.post("/v1/streams", json=wanted, headers=own)
            assert created.status_code == 403
        everywhere = bearer(tokens, Scope.ADMIN)
        assert (await client.post("/v1/streams", json={}, headers=everywhere)).status_code == 201
        assert (await client.post("/v1/streams", json={"id": "me"}, headers=own)).is_success
        listed = (await client.get("/v1/streams", headers=own)).json()
        assert [stream["id"] for stream in listed] == ["me"]
        assert len((await client.get("/v1/streams", headers=everywhere)).json()) == 2
        assert (await client.post("/v1/render", json={}, headers=own)).status_code == 403


async def test_a_session_is_accessible_to_its_opener_only(token_file: Path, tokens: Tokens) -> None:
    from tests.server.http.test_whep import offer

    async with running(tokens=token_file) as client:
        admin = bearer(tokens, Scope.ADMIN)
        await client.post("/v1/streams", json={"id": "me"}, headers=admin)
        own, other = (bearer(tokens, Scope.VIEW) for _ in range(2))
        opened = await client.post("/v1/streams/me/whep", content=await offer(), headers=own | SDP)
        session = opened.headers["location"]
        assert len(session.rsplit("/", 1)[1]) >= 22, "128 random bits"
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.request(method, session, headers=other)
            assert answer.status_code == 404
        assert (await client.get(session, headers=admin)).status_code == 200
        assert (await client.get(session, headers=own)).json()["meshes"]["refused"] == 0
        assert (await client.delete(session, headers=own)).status_code == 204


# --- limits and headers ---------------------------------------------------------------------------


async def test_a_client_above_its_rate_is_told_when_to_retry(
    token_file: Path, tokens: Tokens
) -> None:
    async with running(tokens=token_file, max_requests_per_s=0.02) as client:
        began = time.monotonic()
        assert (await client.get("/healthz")).status_code == 200
        refused = await client.get("/healthz")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        passed_s = time.monotonic() - began
        assert 50 - passed_s <= int(refused.headers["retry-after"]) <= 50
        assert refused.headers["x-content-type-options"] == "nosniff"
        # The limit of an address does not apply to requests with a valid token.
        own = bearer(tokens, Scope.VIEW)
        assert (await client.get("/v1/avatars", headers=own)).status_code == 200


async def test_loopback_requests_have_no_rate_limit() -> None:
    async with running(max_requests_per_s=1) as client:
        client.headers["Host"] = "localhost"
        assert {(await client.get("/healthz")).status_code for _ in range(10)} == {200}


async def test_the_policy_of_the_page_permits_only_what_it_needs(token_file: Path) -> None:
    async with running(tokens=token_file) as client:
        page = await client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-cache"
        missing = await client.get("/v1/nothing")
        assert missing.headers["cache-control"] == "no-store"
        assert missing.headers["content-security-policy"] == policy
        assert (await client.get("/docs")).headers["content-security-policy"] == policy


WASM = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"


async def test_only_publishing_pages_and_workers_of_the_tracker_may_compile_wasm(
    token_file: Path,
) -> None:
    async with running(tokens=token_file) as client:

        async def policy(path: str) -> str:
            headers = (await client.get(path)).headers
            return str(headers["content-security-policy"])

        for path in (
            "/?publish=me",
            "/?call=us",
            "/?publish",
            "/index.html?stream=a&publish=b",
            "/js/tracking/module_worker.js",
            "/js/tracking/classic_worker.js",
        ):
            assert WASM in await policy(path), path
            assert "unsafe" not in (await policy(path)).replace("'wasm-unsafe-eval'", ""), path
        for path in (
            "/",
            "/?stream=publish",
            "/?stream=call",
            "/js/main.js?publish=me",
            "/js/tracking/face_tracker.js",
            "/v1/streams?publish=me",
            "/v1/js/tracking/module_worker.jsx",
            "/docs?publish",
        ):
            assert "wasm" not in await policy(path), path


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Origin": "https://a.example"}


async def test_pages_of_other_origins_may_read_nothing_by_default(token_file: Path) -> None:
    async with running(tokens=token_file) as client:
        preflight = await client.options("/v1/streams/demo/whep", headers=PREFLIGHT)
        answer = await client.get("/healthz", headers={"Origin": "https://a.example"})
        for headers in (preflight.headers, answer.headers):
            assert not [name for name in headers if name.startswith("access-control")]


async def test_pages_of_allowed_origins_may_read_what_whep_needs(
    token_file: Path, tokens: Tokens
) -> None:
    async with running(tokens=token_file, allowed_origins="https://a.example") as client:
        preflight = await client.options("/v1/streams/demo/whep", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://a.example"
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        answer = await client.get("/v1/streams", headers={"Origin": "https://a.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        exposed = answer.headers["access-control-expose-headers"]
        assert {"Location", "ETag", "Link"} <= set(exposed.split(", "))
        other = await client.get("/healthz", headers={"Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PATCH", "DELETE", "GET"])
async def test_pages_of_allowed_origins_may_use_every_method(token_file: Path, method: str) -> None:
    async with running(tokens=token_file, allowed_origins="*") as client:
        request = PREFLIGHT | {"Access-Control-Request-Method": method}
        preflight = await client.options("/v1/streams/demo/whep", headers=request)
        assert preflight.status_code == 200
        assert method in preflight.headers["access-control-allow-methods"].split(", ")


async def test_an_admin_of_one_stream_cannot_access_sessions_of_another(
    token_file: Path, tokens: Tokens
) -> None:
    from tests.server.http.test_whep import offer

    async with running(tokens=token_file) as client:
        admin = bearer(tokens, Scope.ADMIN)
        await client.post("/v1/streams", json={"id": "me"}, headers=admin)
        opened = await client.post(
            "/v1/streams/me/whep", content=await offer(), headers=admin | SDP
        )
        session = opened.headers["location"]
        other = bearer(tokens, Scope.ADMIN, streams=["you"])
        for method in ("GET", "PATCH", "DELETE"):
            assert (await client.request(method, session, headers=other)).status_code == 404
        assert (await client.get("/v1/sessions", headers=other)).status_code == 403
        of_me = bearer(tokens, Scope.ADMIN, streams=["me"])
        assert (await client.delete(session, headers=of_me)).status_code == 204


async def test_refused_tokens_scopes_and_pages_are_logged(
    token_file: Path, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = {"Authorization": f"Bearer {tokens.sign([Scope.VIEW], None, 1)}"}
    async with running(tokens=token_file) as client:
        await client.get("/v1/streams/a%0Ab?token=x", headers={"Authorization": "Bearer guess"})
        await client.get("/v1/status", headers=viewer)
        await client.get("/v1/streams")  # a browser without a token
        await client.get("/v1/streams", headers=viewer)
    logged = [r.getMessage() for r in caplog.records if r.name == "server.http.problems"]
    assert len(logged) == 2
    assert logged[0].startswith(r"refused 'GET /v1/streams/a\nb' of 127.0.0.1: expected a token of")
    assert logged[1].startswith(
        "refused 'GET /v1/status' of 127.0.0.1: expected a token with scope"
    )


async def test_no_token_is_logged(
    token_file: Path, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    token = tokens.sign([Scope.ADMIN], None, 1)
    async with running(tokens=token_file, log_level="debug") as client:
        with caplog.at_level(logging.DEBUG):
            for sent in (token, token + "x", "guess-of-a-secret"):
                await client.get("/v1/streams", headers={"Authorization": f"Bearer {sent}"})
    assert caplog.records
    assert token[-20:] not in caplog.text
    assert "guess-of-a-secret" not in caplog.text
