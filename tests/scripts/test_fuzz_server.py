"""The fuzzer of the server can send bodies of all content types of the OpenAPI description."""

from __future__ import annotations

from pathlib import Path

from scripts.fuzz_server import TEXT_TYPES
from server.app import create_app
from server.settings import Settings
from tests.server.conftest import fake_pool


def test_every_content_type_of_the_openapi_description_can_be_sent(tmp_path: Path) -> None:
    app = create_app(Settings(avatar_store=tmp_path), fake_pool)
    named = {
        kind
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        for kind in operation.get("requestBody", {}).get("content", {})
    }
    assert "video/mp4" in named
    assert named - {"application/json"} <= set(TEXT_TYPES)
