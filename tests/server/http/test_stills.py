"""Refined stills over HTTP, for a viewer of the JPEG fallback; the same for WebRTC."""

from __future__ import annotations

from io import BytesIO

import httpx2
from PIL import Image

from tests.server.conftest import Served
from tests.server.http.test_jpeg_socket import watching


def test_a_viewer_with_a_display_size_gets_a_still_of_an_unchanged_image(
    served: Served, http: httpx2.Client, stream: str
) -> None:
    with watching(served, stream) as viewer:
        viewer.say({"type": "display", "size_px": 250})
        event, _ = viewer.take()
        while "still" not in event:
            viewer.shown(event["picture"])
            event, _ = viewer.take()
        stills = f"/v1/sessions/{viewer.session['id']}/stills"
        answer = http.get(f"{stills}/{event['still']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        with Image.open(BytesIO(answer.content)) as image:
            assert image.size == (256, 256)

        missing = http.get(f"{stills}/{event['still'] + 1}")
        assert missing.status_code == 404
        assert "or the face has moved since" in missing.json()["detail"]
        assert http.get(f"{stills}/next").status_code == 400

        viewer.look(seq=1, eye_x=0.3)
        viewer.shown(event["picture"])
        moved, _ = viewer.take_until(1)
        assert "still" not in moved
        assert http.get(f"{stills}/{event['still']}").status_code == 404
    assert http.get(f"{stills}/{event['still']}").status_code == 404
