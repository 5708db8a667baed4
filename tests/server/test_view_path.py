"""The modules that a view passes through, with the shipped avatar."""

from __future__ import annotations

import re
from functools import partial

import httpx2
import pytest

from server.app import build_pool
from server.pool.cache_slots import CacheSlots
from server.settings import Settings
from tests.server.conftest import serving
from tests.server.transport.webrtc.test_paced_sending import ReportingViewer
from tests.server.view_path import ROOT, files_of, traced

MOST_FILES = 49
"""Files of server/ and models/; lower it when the path gets shorter."""
VIEWS = 10
STEP_M = 0.004
"""Movement of the eye from view to view, metres."""
READY_S = 200.0
"""Seconds: a first start compiles its kernels."""


class Watcher(ReportingViewer):
    """A viewer that reports on packets, as browsers do, and decodes no image."""

    async def _receive(self) -> None:
        """Leave the images in the receiver, which stores only few."""

    async def _report(self) -> None:
        """Report between views only: on a slow machine a timer would report during each view."""


async def _frames_of_views(watcher: Watcher) -> list[int]:
    """Send views one after the other; return the RTP timestamps of the frames that show them."""
    timestamps = []
    for seq in range(1, VIEWS + 1):
        await watcher.report()
        watcher.send_view(seq, seq * STEP_M)
        await watcher.until(partial(_has_seen, watcher, seq))
        timestamps.append(_timestamps_of(watcher, seq)[0])
    return timestamps


def _has_seen(watcher: Watcher, view_seq: int) -> bool:
    return bool(_timestamps_of(watcher, view_seq))


def _timestamps_of(watcher: Watcher, view_seq: int) -> list[int]:
    frames = watcher.of_type("frame")
    return [frame["rtp_timestamp"] for frame in frames if frame["view_seq"] == view_seq]


def _files_in_document() -> set[str]:
    """Return the files in the table of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    _, _, section = text.partition("### The path of a view\n")
    table, _, _ = section.partition("\n## ")
    return set(re.findall(r"^\| `([^`]+\.py)` \|", table, re.MULTILINE))


@pytest.mark.alone  # beside other tests, events that occur once a second fall into every view
@pytest.mark.slow
@pytest.mark.timeout(READY_S + 60)
async def test_a_view_passes_through_few_files_on_its_way_to_a_packet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(port=0, workers=1, device="cpu", demo=False, max_sessions=1)
    with traced(monkeypatch) as path, serving(settings, build_pool, READY_S) as served:
        async with httpx2.AsyncClient(base_url=served.url, timeout=10) as client:
            await client.post("/v1/streams", json={"id": "me"})
            watcher = Watcher(client, lambda _: 0.0, "video/H264")
            assert (await watcher.join("me")).status_code == 201
            assert "transport-cc" in watcher.answer
            try:
                await watcher.until(lambda: len(watcher.of_type("frame")) > 1)
                # Full renders are not part of the path, so none is requested from now on.
                monkeypatch.setattr(CacheSlots, "request", lambda *_: None)
                shown = await _frames_of_views(watcher)
            finally:
                await watcher.leave()
    # Files that run for every view; other tasks of the event loop run during some views only.
    found = files_of(frozenset.intersection(*(path.by_timestamp[at] for at in shown)))
    for file, functions in found.items():
        print(f"{file}: {', '.join(functions)}")  # noqa: T201
    assert len(found) <= MOST_FILES, "\n".join(found)
    assert set(found) == _files_in_document()
