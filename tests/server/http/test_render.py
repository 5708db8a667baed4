"""Images over HTTP; the fake engine encodes the requested state in their pixels."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from server.pool.fake import FOV_FAILS, Shown, decode_image


def shown(response: httpx2.Response) -> Shown:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    with Image.open(BytesIO(response.content)) as image:
        assert image.format == "PNG"
        rgb = np.asarray(image)
    assert rgb.shape == (64, 64, 3)
    return decode_image(rgb)


def face(jaw_open: float) -> dict[str, Any]:
    return {"expression": {"jawOpen": jaw_open}}


def view(eye_x: float) -> dict[str, Any]:
    return {"type": "view", "seq": 0, "eye": {"position": [eye_x, 0, 0.7]}}


def test_a_full_render_shows_the_requested_state(http: httpx2.Client) -> None:
    body = {"avatar": "default", "frame": face(0.4), "view": view(0.2), "mode": "full"}
    image = shown(http.post("/v1/render", json=body))
    assert image.jaw_open == pytest.approx(0.4, abs=0.01)
    assert image.eye_x == pytest.approx(0.2, abs=0.01)


def test_a_warp_uses_a_cache_of_the_same_state_by_default(http: httpx2.Client) -> None:
    body = {"frame": face(0.4), "view": view(0.2), "mode": "warp"}
    image = shown(http.post("/v1/render", json=body))
    assert image.jaw_open == pytest.approx(0.4, abs=0.01)
    assert image.cached_jaw_open == pytest.approx(0.4, abs=0.01)


def test_a_warp_uses_a_cache_of_the_given_state(http: httpx2.Client) -> None:
    cached = {"frame": face(0.8), "view": view(-0.5)}
    body = {"frame": face(0.4), "view": view(0.2), "mode": "warp", "cached": cached}
    image = shown(http.post("/v1/render", json=body))
    assert image.jaw_open == pytest.approx(0.4, abs=0.01)
    assert image.cached_jaw_open == pytest.approx(0.8, abs=0.01)
    assert image.cached_eye_x == pytest.approx(-0.5, abs=0.01)


def test_all_fields_are_optional(http: httpx2.Client) -> None:
    image = shown(http.post("/v1/render", json={}))
    assert image.jaw_open == 0.0
    assert image.eye_x == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"mode": "half"}, 400, "mode: expected 'full' or 'warp', got 'half'"),
        ({"avatar": "nobody"}, 404, "no avatar 'nobody'; there are: default"),
        ({"frame": {"expression": {"smile": 1}}}, 400, "expected one of the 52 names"),
        ({"view": {"eye": {"position": [0, 0, 99]}}}, 400, "view.eye.position.2: expected less"),
        ({"cached": {"frame": {"expression": [1]}}}, 400, "expected 52 numbers"),
        ({"speed": 1}, 400, "speed: expected no such field"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(
    http: httpx2.Client, body: dict[str, Any], status: int, said: str
) -> None:
    answer = http.post("/v1/render", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_nan_and_infinity_are_refused(http: httpx2.Client) -> None:
    text = '{"view": {"eye": {"position": [0, 0, -Infinity]}}}'
    answer = http.post(
        "/v1/render", content=text, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == 400
    assert "view.eye.position.2: expected a finite number" in answer.json()["detail"]


def test_a_body_of_another_media_type_is_refused(http: httpx2.Client) -> None:
    answer = http.post("/v1/render", content=json.dumps({}))
    assert answer.status_code == 415


def test_a_failed_render_is_a_server_error(http: httpx2.Client) -> None:
    answer = http.post("/v1/render", json={"view": view(0.0) | {"fov_y_rad": FOV_FAILS}})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "this state was made to fail"
    shown(http.post("/v1/render", json={}))  # the worker continues


def test_a_snapshot_shows_the_streams_newest_frame(http: httpx2.Client, stream: str) -> None:
    assert shown(http.get(f"/v1/streams/{stream}/snapshot.png")).jaw_open == 0.0
    http.post(f"/v1/streams/{stream}/frames", json={"seq": 1} | face(0.6))
    answer = http.get(f"/v1/streams/{stream}/snapshot.png")
    assert shown(answer).jaw_open == pytest.approx(0.6, abs=0.01)
    assert answer.headers["cache-control"] == "no-store"


def test_a_snapshot_of_a_missing_stream_is_a_404(http: httpx2.Client) -> None:
    answer = http.get("/v1/streams/nowhere/snapshot.png")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "no stream 'nowhere'"
