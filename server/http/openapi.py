"""The OpenAPI description of the server."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.http.authorization import describe_refusals
from server.http.bodies import PROBLEM_CONTENT
from server.http.problems import Problem
from server.protocol.requests import DOCUMENTED

DESCRIPTION = """Post a face's head pose and coefficients to a **stream**; watch it in a browser,
or from any WHEP player, from the position of your own head.

Metres, seconds or `_ms`; right-handed, +X right, +Y up, +Z towards the viewer. Quaternions are
`[x, y, z, w]`, poses map local to world. The neutral head is at the origin and faces +Z. Errors
are `application/problem+json` whose `detail` says what was expected and what was received.

`WS /v1/streams/{stream_id}/frames` takes the same frames as `POST`, one a text message.

A viewer opens the data channel `view` (unordered, without retransmits) and sends `View` messages
there, or `MeshMessage` to drive the face itself; on its channel `events` it gets a `frame` event
for every frame sent, with its view, its RTP timestamp and the time of each stage, and `draining`,
with the seconds that are left, before the server shuts down.

When the server is full, viewers queue: `POST /v1/streams/{stream_id}/queue`.

Where WebRTC is blocked, `WS /v1/streams/{stream_id}/pictures` sends the same frames as JPEG images:
each is a binary message after its `frame` event, and the next is sent once the viewer has sent
`{"type": "shown", "picture": n}`. Views and mesh frames use the same socket.
"""


def openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the bodies that are parsed by hand and our form of errors."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        documented: list[type[BaseModel]] = [*DOCUMENTED, Problem]
        _, ours = models_json_schema(
            [(model, "validation") for model in documented],
            ref_template="#/components/schemas/{model}",
        )
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(ours["$defs"])
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        for path in schema["paths"].values():
            for operation in path.values():
                # FastAPI's own form; such errors come as a problem with status 400 instead.
                operation["responses"].pop("422", None)
        describe_refusals(schema, PROBLEM_CONTENT)
        app.openapi_schema = schema
    return app.openapi_schema
