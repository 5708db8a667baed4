"""Stages of the latency of each frame: on screen, in the page's API and as CSV."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

STAGES = (
    "hold", "uplink", "wait", "queue", "raster", "warp", "hand_over", "encode", "send",
    "downlink", "buffer", "decode", "screen",
)  # fmt: skip


def look_around(page: Page, steps: int) -> None:
    """Move the view left and right, a step every 33 ms."""
    for step in range(steps):
        page.evaluate("yaw => window.telewarp.setView({ yaw_rad: yaw })", 0.4 * math.sin(step / 10))
        page.wait_for_timeout(33)


def saved_frames(page: Page, folder: Path) -> list[dict[str, str]]:
    """Save the frames as CSV, and read the file."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    path = folder / "frames.csv"
    download.value.save_as(path)
    assert download.value.suggested_filename.startswith("telewarp-demo-")
    assert download.value.suggested_filename.endswith(".csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_stages_of_every_frame_make_up_its_pose_to_photon_latency(
    page: Page, tmp_path: Path
) -> None:
    page.get_by_role("button", name="Where the time goes").click()
    look_around(page, 60)
    rows = saved_frames(page, tmp_path)
    assert len(rows) >= 20
    assert all(None not in row and None not in row.values() for row in rows), (
        "all rows have the same columns"
    )
    complete = [row for row in rows if row["pose_to_photon_ms"] and row["uplink_ms"]]
    assert len(complete) >= 10
    for row in complete:
        total = sum(float(row[f"{stage}_ms"] or 0) for stage in STAGES)
        # Each stage is rounded to 0.01 ms, some on the server and again in the page.
        assert total == pytest.approx(float(row["pose_to_photon_ms"]), abs=0.3), row
    presented = [float(row["presented_at_ms"]) for row in rows]
    assert presented[-1] - presented[0] > 500
    assert len({row["rtp_timestamp"] for row in rows}) == len(rows)


def test_all_stages_are_shown_and_in_the_page_api(page: Page) -> None:
    page.get_by_role("button", name="Where the time goes").click()
    look_around(page, 40)
    for words in ("Drawing the mesh", "Warping the cache", "Encoding", "Waiting for the screen"):
        expect(page.locator("#stages")).to_contain_text(words)
    stats = page.evaluate("window.telewarp.stats()")
    assert set(stats["frame_stages_ms"]) == set(STAGES)
    for summary in stats["frame_stages_ms"].values():
        assert summary["p50"] <= summary["p95"]
        assert summary["count"] > 0
    # Not zero on one machine: the two clocks have different origins.
    assert 0 < stats["clock"]["error_ms"] < stats["clock"]["round_trip_ms"]
    drawn = """() => {
      const { width, height } = document.querySelector('#details canvas');
      const context = document.querySelector('#details canvas').getContext('2d');
      const { data } = context.getImageData(0, 0, width, height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert page.evaluate(drawn) > 5, "the chart has columns of several colours"


def test_continuous_movement_sends_at_most_one_view_per_screen_refresh(page: Page) -> None:
    moved = page.evaluate("""() => new Promise(done => {
      const before = window.telewarp.stats().view_seq_sent;
      const began = performance.now();
      const move = () => {
        const seconds = (performance.now() - began) / 1000;
        window.telewarp.setView({ yaw_rad: 0.3 * Math.sin(3 * seconds) });
        if (seconds < 4) return setTimeout(move, 4);
        const { view_seq_sent, view_lead_ms } = window.telewarp.stats();
        done({ seconds, views: view_seq_sent - before, view_lead_ms });
      };
      move();
    })""")
    assert moved["view_lead_ms"] > 0, "the page has estimated when to send views"
    # The heartbeat alone sends one a second; a 60 Hz screen needs at most one per refresh.
    assert 10 * moved["seconds"] < moved["views"] < 63 * moved["seconds"] + 5
    page.wait_for_function(
        "(({ view_seq_shown, view_seq_sent }) => view_seq_shown >= view_seq_sent - 1)"
        "(window.telewarp.stats())"
    )  # the last view is shown
