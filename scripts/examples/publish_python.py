"""Publish a talking face from Python as one live request, one line of NDJSON per frame.

    .venv/bin/python scripts/examples/publish_python.py --url http://127.0.0.1:8000 --stream me

Needs httpx2. Each line reaches the viewers when it is sent; the server answers when the body ends.
A server that asks for a token gets the one in TELEWARP_TOKEN (scope `publish`).
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator

import httpx2

FPS = 30


def frames(seconds: float) -> Iterator[bytes]:
    """Yield mesh frames of a head that speaks and turns, at 30 frames per second."""
    started = time.monotonic()
    for seq in range(round(seconds * FPS)):
        time.sleep(max(0.0, started + seq / FPS - time.monotonic()))
        half_angle_rad = 0.15 * math.sin(seq / 20)
        frame = {
            "seq": seq,
            "captured_at_ms": time.time() * 1000,
            # A unit quaternion [x, y, z, w]: a rotation about the vertical axis.
            "head": {"rotation": [0, math.sin(half_angle_rad), 0, math.cos(half_angle_rad)]},
            "expression": {"jawOpen": 0.3 + 0.3 * math.sin(seq / 3), "mouthSmileLeft": 0.2},
        }
        yield json.dumps(frame).encode() + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Publish a talking face.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--stream", default="me")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()

    token = os.environ.get("TELEWARP_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # No limit for reading: the answer comes when the body ends.
    timeout = httpx2.Timeout(10, read=None)
    with httpx2.Client(base_url=options.url, headers=headers, timeout=timeout) as client:
        client.post(
            "/v1/streams", json={"id": options.stream, "avatar": "default"}
        ).raise_for_status()
        print(f"watch it at {options.url}/?stream={options.stream}")
        try:
            answer = client.post(
                f"/v1/streams/{options.stream}/frames",
                content=frames(options.seconds),
                headers={"Content-Type": "application/x-ndjson"},
            )
            print(answer.raise_for_status().json())
        finally:
            client.delete(f"/v1/streams/{options.stream}")


if __name__ == "__main__":
    main()
