"""Test a running server as a publisher and a viewer: publish a stream, watch it in Chromium.

    .venv/bin/python scripts/smoke_test.py http://127.0.0.1:8000 --token TOKEN --screenshot seen.png

The token needs the scopes publish and view. The address may be that of a router in front of many
hosts. Ends with one line of JSON, or with an error message and exit code 1. Deletes its stream.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import tyro
from playwright.sync_api import Error, Page, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS, find_chromium

FRAME_S = 1 / 30
LEAST_FPS = 5
"""Displayed frame rate below which the test fails."""


@dataclass(frozen=True)
class Options:
    """Test a running server."""

    address: Annotated[str, tyro.conf.Positional]
    """URL of the server."""
    token: str = ""
    """Token with the scopes publish and view, for a server with authentication."""
    seconds: float = 8.0
    """Time to publish and watch."""
    screenshot: Path | None = None
    """File for a screenshot (PNG) of the page at the end."""


def main(options: Options) -> int:
    """Run the test. Returns the exit code."""
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    with httpx2.Client(
        base_url=options.address, headers=headers, timeout=30, follow_redirects=True
    ) as http:
        try:
            with _stream(http) as stream, _page(options, stream.path.split("/")[-1]) as page:
                accepted = _publish(http, stream, options.seconds)
                stats: dict[str, Any] = page.evaluate("window.telewarp.stats()")
                if options.screenshot:
                    page.screenshot(path=options.screenshot)
        except (httpx2.HTTPError, Error) as exc:
            print(f"smoke test: {exc}", file=sys.stderr)
            return 1
    result = {
        "frames_accepted": accepted,
        "way": stats["way"],
        "fps_shown": stats["fps_shown"],
        "cache_age_ms": stats["cache_age_ms"],
    }
    print(json.dumps(result))
    return 0 if stats["state"] == "live" and stats["fps_shown"] > LEAST_FPS else 1


@contextmanager
def _stream(http: httpx2.Client) -> Iterator[httpx2.URL]:
    """Create a stream; yields its URL, on the host that a router selected for it."""
    avatars = http.get("/v1/avatars").raise_for_status().json()
    answer = http.post("/v1/streams", json={"avatar": avatars[0]["id"]}).raise_for_status()
    stream = answer.url.join(answer.headers["location"])
    try:
        yield stream
    finally:
        http.delete(stream).raise_for_status()


def _publish(http: httpx2.Client, stream: httpx2.URL, seconds: float) -> int:
    """Publish frames of a head that speaks and nods. Returns the number of accepted frames."""

    def frames() -> Iterator[bytes]:
        for seq in range(round(seconds / FRAME_S)):
            turn = 0.1 * math.sin(seq / 15)
            head = {"rotation": [0, math.sin(turn), 0, math.cos(turn)]}
            expression = {"jawOpen": 0.25 + 0.25 * math.sin(seq / 3)}
            frame = {"seq": seq, "head": head, "expression": expression}
            yield json.dumps(frame).encode() + b"\n"
            time.sleep(FRAME_S)

    answer = http.post(
        f"{stream}/frames",
        content=frames(),
        headers={"Content-Type": "application/x-ndjson"},
        timeout=seconds + 30,
    )
    return int(answer.raise_for_status().json()["accepted"])


@contextmanager
def _page(options: Options, stream: str) -> Iterator[Page]:
    """Open the page; yields it when it displays the stream."""
    chromium = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        # Playwright waits with `eval` in the page, which the Content-Security-Policy forbids.
        page = browser.new_page(bypass_csp=True)
        hash_part = f"#token={options.token}" if options.token else ""
        page.goto(f"{options.address}/?stream={stream}{hash_part}")
        page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=60_000)
        yield page
        browser.close()


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
