"""An admin token limited to some streams has no access to others, on any route."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.server.http.test_every_route import PROTECTED_CALLS, Call, bearer, server, tokens
from tests.server.http.test_whep import SDP, offer

__all__ = ["tokens"]

PUBLIC = {"GET /v1/avatars", "GET /v1/avatars/{avatar_id}"}
"""Calls that concern no stream: every token may read them."""
LISTS = {"GET /v1/streams", "GET /v1/recordings"}
"""Lists that leave out what belongs to other streams."""


class Opened(NamedTuple):
    """A server with one of each resource for the stream `theirs`."""

    client: httpx2.AsyncClient
    ids: dict[str, str]

    def path(self, call: Call) -> str:
        return re.sub(r"\{(.*?)\}", lambda name: self.ids[name[1]], call.path)

    async def answer(self, call: Call, token: str) -> httpx2.Response:
        body: Any = {"id": "theirs"} if call.path == "/v1/streams" else None
        return await self.client.request(
            call.method, self.path(call), headers=bearer(token), json=body
        )


@pytest.fixture
async def opened(tokens: Path, tmp_path: Path) -> AsyncIterator[Opened]:
    app = server(tokens, max_sessions=1, recordings=tmp_path)
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://telewarp.example") as client,
    ):
        client.headers.update(bearer("admin"))
        await client.post("/v1/streams", json={"id": "theirs"})
        stream = "/v1/streams/theirs"
        made = {
            "session_id": await client.post(f"{stream}/whep", content=await offer(), headers=SDP),
            "ticket": await client.post(f"{stream}/queue"),
            "recording_id": await client.post(f"{stream}/recordings"),
            "publication_id": await client.post(
                f"{stream}/whip", content=await offer("sendonly", "audio"), headers=SDP
            ),
        }
        ids = {name: answer.headers["location"].rsplit("/", 1)[1] for name, answer in made.items()}
        yield Opened(
            client,
            ids
            | {"stream_id": "theirs", "avatar_id": "default", "call": "theirs", "job_id": "none"}
            | {"number": "1"},
        )


async def test_an_admin_of_another_stream_has_no_access_to_this_one(opened: Opened) -> None:
    for call in PROTECTED_CALLS:
        if call.method == "WS" or str(call) in PUBLIC:
            continue  # sockets: see `test_every_route`
        answer = await opened.answer(call, "other")
        if str(call) in LISTS:
            assert answer.json() == [], str(call)
        else:
            assert answer.status_code in (403, 404), (str(call), answer.text)
    reading = [
        call
        for call in PROTECTED_CALLS
        if call.method == "GET"
        and "{" in call.path
        # There are no jobs, and no stills while the face moves.
        and not any(name in call.path for name in ("{job_id}", "{number}"))
    ]
    assert len(reading) >= 8
    for call in reading:
        # A snapshot needs a worker, which may not be ready yet.
        assert (await opened.answer(call, "admin")).status_code in (200, 503), (
            f"{call}: the resource does not exist"
        )
