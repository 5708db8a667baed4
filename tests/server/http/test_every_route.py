"""Every API call declares its access rule and enforces it; new calls are found automatically."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from inspect import iscoroutinefunction, isroutine
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient, WebSocketDenialResponse

from server.app import create_app, pool_settings
from server.auth.grants import Scope
from server.cluster.local import LocalPlacement
from server.cluster.router import create_router
from server.cluster.settings import RouterSettings
from server.http.authorization import AllowAll, Rule
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.settings import Settings

OPEN_CALLS = {"GET /healthz", "GET /readyz"}
DOCS = ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js")
OPEN_PAGES = {"/openapi.json", "/{path:client}", *DOCS}
"""Paths without a token; their content is part of the public source."""


class Call(NamedTuple):
    """An HTTP method or WebSocket on a path, with the access rules that it declares."""

    method: str
    path: str
    rules: tuple[Rule | AllowAll, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def example_path(self) -> str:
        """Return the path with every parameter set to `some`."""
        return re.sub(r"\{.*?\}", "some", self.path)


def all_routes(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from all_routes(included.routes) if included is not None else (route,)


def access_rules_of(dependant: Dependant) -> Iterator[Rule | AllowAll]:
    if isinstance(dependant.call, Rule | AllowAll):
        yield dependant.call
    for child in dependant.dependencies:
        yield from access_rules_of(child)


def calls_of(route: BaseRoute) -> Iterator[Call]:
    if isinstance(route, APIRoute):
        for method in sorted(route.methods or ()):
            yield Call(method, route.path, tuple(access_rules_of(route.dependant)))
    elif isinstance(route, APIWebSocketRoute):
        yield Call("WS", route.path, tuple(access_rules_of(route.dependant)))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tokens file: one token per scope, and one for another stream."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    listed = [f'name = "{s}"\nsecret = "{secret(s)}"\nscopes = ["{s}"]\n' for s in Scope]
    other = f'name="o"\nsecret="{secret("other")}"\nscopes=["admin"]\nstreams=["other"]\n'
    file.write_text("".join(f"[[token]]\n{token}" for token in (*listed, other)))
    return file


def secret(name: str) -> str:
    return f"secret-of-{name}-0123456789"


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(name)}"}


def server(tokens: Path, **settings: Any) -> Any:
    given = Settings(tokens=tokens, demo=False, max_requests_per_s=10_000, **settings)
    return create_app(given, lambda found: RenderPool(pool_settings(found), FakeEngineFactory()))


ROUTES = list(all_routes(create_app(Settings()).routes))
CALLS = [call for route in ROUTES for call in calls_of(route)]
PROTECTED_CALLS = [call for call in CALLS if str(call) not in OPEN_CALLS]


def callables_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for child in dependant.dependencies:
        yield from callables_of(child)


@pytest.mark.parametrize("app", ["server", "router"])
def test_routes_and_dependencies_are_async(app: str) -> None:
    # FastAPI runs all plain functions on 40 threads, which slow requests could occupy.
    router = create_router(RouterSettings(), LocalPlacement([], None))
    routes = ROUTES if app == "server" else list(all_routes(router.routes))
    called: list[Any] = []
    for route in routes:
        if isinstance(route, APIRoute | APIWebSocketRoute):
            called += callables_of(route.dependant)
        elif isinstance(route, Route):
            called.append(route.endpoint)
    assert len(called) > len(routes)
    for one in called:
        run = one if isroutine(one) else type(one).__call__
        assert iscoroutinefunction(run), f"{one} is not async"


def test_every_route_is_an_api_call_or_an_open_page() -> None:
    others = [route for route in ROUTES if not isinstance(route, APIRoute | APIWebSocketRoute)]
    assert all(isinstance(route, Route) for route in others), others
    assert {route.path for route in others if isinstance(route, Route)} == OPEN_PAGES
    assert len(CALLS) >= 18


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_call_declares_one_access_rule(call: Call) -> None:
    assert len(call.rules) == 1, f"{call} must declare `needs(...)` or `open_to_all()`, once"
    assert isinstance(call.rules[0], AllowAll) == (str(call) in OPEN_CALLS)


@pytest.fixture(scope="module")
def client(tokens: Path) -> TestClient:
    """A client of an app that was not started: a refused request must not use its parts."""
    return TestClient(server(tokens), base_url="http://telewarp.example")


def refused_response(client: TestClient, call: Call, headers: dict[str, str]) -> httpx2.Response:
    if call.method != "WS":
        return client.request(call.method, call.example_path, headers=headers)
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(call.example_path, headers=headers),
    ):
        pass
    answer = refused.value
    assert isinstance(answer, httpx2.Response)
    return answer


@pytest.mark.parametrize("call", PROTECTED_CALLS, ids=str)
def test_every_call_refuses_a_request_without_a_valid_token(client: TestClient, call: Call) -> None:
    for scheme, bad in (("", False), ("Bearer guessed", True), ("Basic eDp5", False)):
        answer = refused_response(client, call, {"Authorization": scheme})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert ("invalid_token" in answer.headers["www-authenticate"]) == bad
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("call", PROTECTED_CALLS, ids=str)
def test_every_call_refuses_a_token_of_another_scope(client: TestClient, call: Call) -> None:
    (rule,) = call.rules
    assert isinstance(rule, Rule)
    for scope in set(Scope) - {*rule.scopes, Scope.ADMIN}:
        answer = refused_response(client, call, bearer(scope))
        assert answer.status_code == 403
        assert "expected a token with scope" in answer.json()["detail"]


@pytest.mark.parametrize("call", [c for c in PROTECTED_CALLS if "{stream_id}" in c.path], ids=str)
def test_every_call_of_a_stream_refuses_a_token_for_another_stream(
    client: TestClient, call: Call
) -> None:
    answer = refused_response(client, call, bearer("other"))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "expected a token for stream 'some', got one for: other"


@pytest.fixture
async def running(tokens: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = server(tokens)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://telewarp.example") as client,
    ):
        yield client


async def test_every_call_admits_its_scopes_and_admins(running: httpx2.AsyncClient) -> None:
    for call in PROTECTED_CALLS:
        (rule,) = call.rules
        assert isinstance(rule, Rule)
        if call.method == "WS":
            continue  # see tests/server/auth/test_authentication.py
        for scope in {*rule.scopes, Scope.ADMIN}:
            answer = await running.request(call.method, call.example_path, headers=bearer(scope))
            assert answer.status_code not in (401, 403, 500), (str(call), scope, answer.text)


async def test_pages_and_probes_need_no_token(running: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/", "/js/main.js", *DOCS, "/openapi.json"):
        assert (await running.get(path)).status_code in (200, 503), path
