"""A fake camera for Chromium that shows the avatar, so that no image of a person is needed."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterable
from math import cos, pi, sin
from pathlib import Path
from typing import Any

import av
from PIL import Image

from scripts.install_tracker import FOLDER, MODELS, PROGRAM, missing

FPS = 30
_TIMEOUT_S = 60.0


def require_tracker() -> None:
    """Exit with instructions if the browser's face tracker is not installed."""
    if missing(FOLDER, {**PROGRAM, **MODELS}):
        raise SystemExit(
            "benchmark: expected the face tracker in client_web/vendor, got none; "
            "run .venv/bin/python scripts/install_tracker.py"
        )


def camera_flags(video: Path) -> list[str]:
    """Return Chromium's options for a camera that plays a video without asking the user."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]


def render(address: str, face: dict[str, Any]) -> Image.Image:
    """Render the default avatar.

    Args:
        address: URL of a server.
        face: `frame` of `POST /v1/render`.
    """
    request = urllib.request.Request(
        f"{address}/v1/render",
        data=json.dumps({"avatar": "default", "frame": face}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        return Image.open(io.BytesIO(response.read())).convert("RGB")


def moving_face(address: str, fps: int = FPS) -> list[Image.Image]:
    """Render a face that turns, speaks and blinks, and back again: a loop of two seconds."""
    images = [render(address, _face(index / fps)) for index in range(fps)]
    return images + images[::-1]


def write_y4m(file: Path, images: Iterable[Image.Image | av.VideoFrame], fps: int = FPS) -> None:
    """Write images of one size as a YUV4MPEG2 file of `fps` images per second."""
    with file.open("wb") as out:
        for index, image in enumerate(images):
            frame = _to_frame(image)
            if index == 0:
                header = f"YUV4MPEG2 W{frame.width} H{frame.height} F{fps}:1 Ip A1:1 C420jpeg\n"
                out.write(header.encode())
            out.write(b"FRAME\n")
            for plane in frame.planes:
                rows = bytes(plane)  # padded at the end of each row
                for row in range(plane.height):
                    begin = row * plane.line_size
                    out.write(rows[begin : begin + plane.width])


def _to_frame(image: Image.Image | av.VideoFrame) -> av.VideoFrame:
    if isinstance(image, av.VideoFrame):
        return image.reformat(format="yuv420p")
    frame: av.VideoFrame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]  # PyAV has no types for it
    return frame.reformat(format="yuv420p")


def _face(phase: float) -> dict[str, Any]:
    angle = 0.25 * sin(2 * pi * phase) / 2
    closed = 1.0 if 0.4 < phase < 0.52 else 0.0
    return {
        "head": {"rotation": [0, sin(angle), 0, cos(angle)]},
        "expression": {
            "jawOpen": 0.35 - 0.35 * cos(4 * pi * phase),
            "eyeBlinkLeft": closed,
            "eyeBlinkRight": closed,
        },
    }
