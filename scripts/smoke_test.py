"""Try a running server as a publisher and a viewer would: post a stream, watch it in Chromium.

    .venv/bin/python scripts/smoke_test.py http://127.0.0.1:8000 --token TOKEN --screenshot seen.png

The token needs the scopes publish and view. A router in front of many hosts will do as well. Ends
with one JSON line, or with what is wrong and exit code 1. Leaves nothing behind on the server.
"""

from __future__ import annotations

import json
import math
import shutil
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

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
FRAME_S = 1 / 30


@dataclass(frozen=True)
class Options:
    """What to try."""

    address: Annotated[str, tyro.conf.Positional]
    token: str = ""
    seconds: float = 8.0
    """How long to publish and watch."""
    screenshot: Path | None = None
    """PNG of the page at the end."""


def main(options: Options) -> int:
    """Run it; returns the exit code."""
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    with httpx2.Client(
        base_url=options.address, headers=headers, timeout=30, follow_redirects=True
    ) as http:
        try:
            with _stream(http) as stream, _page(options, stream.path.split("/")[-1]) as page:
                accepted = _publish(http, stream, options.seconds)
                seen: dict[str, Any] = page.evaluate("window.telewarp.stats()")
                if options.screenshot:
                    page.screenshot(path=options.screenshot)
        except (httpx2.HTTPError, Error) as exc:
            print(f"smoke test: {exc}", file=sys.stderr)
            return 1
    result = {
        "frames_accepted": accepted,
        "way": seen["way"],
        "fps_shown": seen["fps_shown"],
        "cache_age_ms": seen["cache_age_ms"],
    }
    print(json.dumps(result))
    return 0 if seen["state"] == "live" and seen["fps_shown"] > 5 else 1


@contextmanager
def _stream(http: httpx2.Client) -> Iterator[httpx2.URL]:
    """A stream of its own; yields its address, which is on the host that a router chose for it."""
    avatars = http.get("/v1/avatars").raise_for_status().json()
    answer = http.post("/v1/streams", json={"avatar": avatars[0]["id"]}).raise_for_status()
    stream = answer.url.join(answer.headers["location"])
    try:
        yield stream
    finally:
        http.delete(stream).raise_for_status()


def _publish(http: httpx2.Client, stream: httpx2.URL, seconds: float) -> int:
    """Speak and nod; returns how many frames were taken."""

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
    """The viewer, with a picture of the stream on it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("smoke test: needs chromium; on Debian and Ubuntu: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        # Playwright waits by `eval` in the page, which the page's policy forbids.
        page = browser.new_page(bypass_csp=True)
        hash_part = f"#token={options.token}" if options.token else ""
        page.goto(f"{options.address}/?stream={stream}{hash_part}")
        page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=60_000)
        yield page
        browser.close()


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
