"""Methods of every path: listed by a 405, and allowed to other origins by preflights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.testclient import TestClient

from server.app import create_app
from server.cluster.local import LocalPlacement
from server.cluster.router import create_router
from server.cluster.settings import RouterSettings
from server.settings import Settings
from tests.server.http.test_every_route import all_routes

ORIGIN = "https://a.example"


def server() -> Any:
    return create_app(Settings(allowed_origins=ORIGIN))


def router() -> Any:
    return create_router(RouterSettings(allowed_origins=ORIGIN), LocalPlacement([], None))


def is_call(path: str) -> bool:
    return path.startswith("/v1/")


def methods(app: Any) -> Mapping[str, set[str]]:
    """Return the methods of each API path, from all routes that match it."""
    routes = [route for route in all_routes(app.routes) if isinstance(route, APIRoute | Route)]
    found: dict[str, set[str]] = defaultdict(set)
    for route in routes:
        path = route.path.replace("{path:client}", "index.html")
        path = path.replace("{", "").replace("}", "")
        for other in routes:
            if other.path_regex.match(path) and is_call(other.path) == is_call(path):
                found[path] |= set(other.methods or ())
    return found


@pytest.fixture(params=[server, router])
def app(request: pytest.FixtureRequest) -> Any:
    return request.param()


def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://localhost")


def test_a_405_lists_all_methods_of_its_path(app: Any) -> None:
    page = {"GET", "HEAD"}
    for path, expected in methods(app).items():
        answer = client(app).put(path)
        assert answer.status_code == 405, path
        below_page = set() if path.startswith("/v1/") else page  # the page's route matches any path
        named = answer.headers["allow"].split(", ")
        head = {"HEAD"} if "GET" in expected else set()  # HEAD is answered wherever GET is
        assert set(named) == expected | head | below_page, path
        assert len(named) == len(set(named)), path
        assert answer.json()["detail"].startswith(f"expected the method to be {', '.join(named)}")


def test_pages_of_allowed_origins_may_call_every_route(app: Any) -> None:
    for path, offered in methods(app).items():
        for method in offered:
            asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
            answer = client(app).options(path, headers=asked)
            assert answer.status_code == 200, (method, path)
            assert method in answer.headers["access-control-allow-methods"].split(", ")
            assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT"])
def test_preflights_for_a_method_without_a_route_are_refused(app: Any, method: str) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    assert client(app).options("/v1/streams", headers=asked).status_code == 400


@pytest.mark.parametrize("origin", ["https://A.example", "https://a.example:443", ORIGIN])
def test_an_allowed_origin_may_be_written_in_every_form(origin: str) -> None:
    app = create_app(Settings(allowed_origins="HTTPS://A.Example:443/"))
    asked = {"Origin": origin, "Access-Control-Request-Method": "OPTIONS"}
    answer = client(app).options("/v1/streams/demo/whep", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
