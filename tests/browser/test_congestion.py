"""A real browser behind a bottleneck whose bandwidth falls to a tenth."""

from __future__ import annotations

import logging
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.browser.conftest import CHROMIUM
from tests.browser.test_networks import VIDEO, page_in
from tests.server.network.impaired_link import impaired_link
from tests.server.network.network import namespaces, python, require_namespaces, wait_for

logger = logging.getLogger(__name__)

pytestmark = pytest.mark.browser

HOST, VIEWER = "10.78.2.1", "10.78.2.2"
HIGH, LOW = 5e6, 0.5e6
SERVER_END = 1
_COUNT_FRAMES = """() => {
  const video = document.querySelector("video");
  window.shownAt = [];
  const shown = (now) => {
    window.shownAt.push((performance.timeOrigin + now) / 1000);
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
}"""


def test_a_bandwidth_drop_causes_no_long_queue_and_no_frozen_video(tmp_path: Path) -> None:
    require_namespaces()
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    log = tmp_path / "server.txt"
    server = python("-m", "tests.server.network.noisy_server", "--workers", "1")
    with (
        namespaces("viewer", "server") as net,
        impaired_link(net["viewer"], VIEWER, net["server"], HOST) as link,
        net["server"].running(log, *server, "--host", HOST, "--insecure"),
        page_in(net["viewer"], tmp_path) as page,
    ):
        wait_for(log, "showing the face")
        link.bits_per_s, link.delay_s = HIGH, 0.01
        page.goto(f"http://{HOST}:8000")
        page.wait_for_function(VIDEO, timeout=30_000)
        page.evaluate(_COUNT_FRAMES)
        page.wait_for_timeout(2500)
        dropped_at, to_unix_s = time.monotonic(), time.time() - time.monotonic()
        link.bits_per_s = LOW
        page.wait_for_timeout(5000)
        ended_at = time.monotonic()
        shown_at = [at - to_unix_s for at in page.evaluate("window.shownAt")]
    frames = [dropped_at, *(at for at in shown_at if dropped_at < at < ended_at), ended_at]
    longest_gap_s = max(late - early for early, late in pairwise(frames))
    waits = sorted(
        queue_s
        for at, end, _, queue_s in link.queued
        if end == SERVER_END and dropped_at + 2.5 < at < ended_at
    )
    queue_s = waits[round(0.95 * (len(waits) - 1))]
    logger.info("longest gap %.2f s, queue p95 %.0f ms", longest_gap_s, queue_s * 1e3)
    assert queue_s < 0.25, "1.4 s at the median with the receiver's bandwidth estimate"
    assert longest_gap_s < 1.0
