"""The app as a whole: error responses, OpenAPI description, start and shutdown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.app import create_app, pool_settings
from server.errors import SettingsError, TelewarpError
from server.http.problems import STATUS
from server.pool.fake import FakeEngineFactory, fake_avatar
from server.pool.pool import RenderPool
from server.settings import Settings


@asynccontextmanager
async def running(
    settings: Settings, factory: FakeEngineFactory
) -> AsyncIterator[httpx2.AsyncClient]:
    """An app for one test, called without a network."""
    app = create_app(settings, lambda given: RenderPool(pool_settings(given), factory))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://localhost",
        ) as client,
    ):
        yield client


def all_kinds(kind: type[TelewarpError]) -> list[type[TelewarpError]]:
    return [kind, *(more for child in kind.__subclasses__() for more in all_kinds(child))]


@pytest.mark.parametrize("kind", all_kinds(TelewarpError))
def test_every_error_has_the_status_code_of_its_nearest_base_class(
    kind: type[TelewarpError],
) -> None:
    chosen = next(known for known in STATUS if issubclass(kind, known))
    nearest = next(known for known in kind.__mro__ if known in STATUS)
    assert chosen is nearest


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/nothing", 404, "expected a path of this server (see /docs)"),
        ("POST", "/v1/nothing", 404, "got POST /v1/nothing"),
        ("GET", "/nothing.js", 404, "got GET /nothing.js"),
        ("GET", "/../pyproject.toml", 404, "got GET"),
        ("GET", "/package.json", 404, "got GET /package.json"),
        ("PUT", "/v1/streams", 405, "got PUT /v1/streams"),
        ("GET", "/v1/render", 405, "expected the method to be POST"),
        ("DELETE", "/", 405, "got DELETE /"),
    ],
)
def test_errors_of_the_framework_are_problem_documents_too(
    http: httpx2.Client, method: str, path: str, status: int, said: str
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert said in answer.json()["detail"]
    assert ("allow" in answer.headers) == (status == 405)


def test_the_openapi_description_has_every_call_and_no_dangling_reference(
    http: httpx2.Client,
) -> None:
    schema = http.get("/openapi.json").json()
    calls = {
        f"{method.upper()} {path}" for path, item in schema["paths"].items() for method in item
    }
    assert calls == {
        "GET /healthz",
        "GET /metrics",
        "GET /v1/load",
        "GET /readyz",
        "GET /v1/avatars",
        "GET /v1/avatars/{avatar_id}",
        "POST /v1/avatars",
        "DELETE /v1/avatars/{avatar_id}",
        "GET /v1/avatars/jobs",
        "GET /v1/avatars/jobs/{job_id}",
        "DELETE /v1/avatars/jobs/{job_id}",
        "GET /v1/calls/{call}",
        "POST /v1/streams",
        "GET /v1/streams",
        "GET /v1/streams/{stream_id}",
        "DELETE /v1/streams/{stream_id}",
        "POST /v1/streams/{stream_id}/frames",
        "GET /v1/streams/{stream_id}/snapshot.png",
        "OPTIONS /v1/streams/{stream_id}/whep",
        "POST /v1/streams/{stream_id}/whep",
        "OPTIONS /v1/streams/{stream_id}/whip",
        "POST /v1/streams/{stream_id}/whip",
        "GET /v1/publications/{publication_id}",
        "PATCH /v1/publications/{publication_id}",
        "DELETE /v1/publications/{publication_id}",
        "PATCH /v1/sessions/{session_id}",
        "DELETE /v1/sessions/{session_id}",
        "GET /v1/sessions",
        "GET /v1/sessions/{session_id}",
        "GET /v1/sessions/{session_id}/stills/{number}",
        "POST /v1/streams/{stream_id}/queue",
        "GET /v1/queue/{ticket}",
        "POST /v1/streams/{stream_id}/recordings",
        "GET /v1/recordings",
        "GET /v1/recordings/{recording_id}",
        "POST /v1/recordings/{recording_id}/stop",
        "GET /v1/recordings/{recording_id}/file",
        "POST /v1/recordings/{recording_id}/replay",
        "DELETE /v1/recordings/{recording_id}",
        "DELETE /v1/queue/{ticket}",
        "GET /v1/status",
        "POST /v1/render",
    }
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert set(references(schema)) <= known
    assert all(call.get("summary") for item in schema["paths"].values() for call in item.values())


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in references(item)]


def test_the_interactive_documentation_loads_nothing_from_other_hosts(http: httpx2.Client) -> None:
    page = http.get("/docs")
    parts = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert len(parts) == 3
    for part in parts:
        answer = http.get(f"/{part}")
        assert answer.status_code == 200, part
        assert len(answer.content) > 100
    policy = page.headers["content-security-policy"]
    assert "http" not in page.text + policy
    assert "script-src 'self';" in policy


async def test_the_viewer_page_is_served_and_revalidated_on_each_visit(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("<title>Telewarp</title>")
    (tmp_path / "js" / "main.js").write_text("export {};")
    settings = Settings(client=tmp_path, demo=False)
    async with running(settings, FakeEngineFactory()) as client:
        page = await client.get("/?stream=demo")
        script = await client.get("/js/main.js")
        assert (page.status_code, page.text) == (200, "<title>Telewarp</title>")
        assert page.headers["content-type"].startswith("text/html")
        assert script.headers["content-type"].startswith("text/javascript")
        assert page.headers["cache-control"] == script.headers["cache-control"] == "no-cache"
        again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert again.status_code == 304


async def test_the_demo_stream_exists_from_the_start() -> None:
    async with running(Settings(), FakeEngineFactory()) as client:
        assert (await client.get("/v1/streams/demo")).json()["avatar"] == "default"


async def test_without_a_ready_worker_the_server_is_alive_but_not_ready() -> None:
    async with running(Settings(demo=False), FakeEngineFactory(builds_in_workers=False)) as client:
        assert (await client.get("/healthz")).status_code == 200
        for answer in (await client.get("/readyz"), await client.post("/v1/render", json={})):
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "2"
            assert answer.json()["detail"]


async def test_an_internal_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(demo=False), lambda _: pytest.fail("not started"))
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/avatars")  # the app was not started
    assert answer.status_code == 500
    assert answer.json()["detail"] == "an internal error, which has been logged"


async def test_a_missing_device_is_an_error_of_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"device cuda:9: .*got .*cuda:9"):
        async with running(Settings(device="cuda:9"), FakeEngineFactory()):
            pass


def test_frames_have_the_sizes_between_the_configured_limits() -> None:
    settings = Settings(min_frame_size=300, max_frame_size=512, device="cpu")
    pool = RenderPool(pool_settings(settings), FakeEngineFactory())
    assert pool.sizes(fake_avatar(resolution=320)) == (320, 384, 512)
