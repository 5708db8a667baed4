"""A third-party WHEP player shows the video: `whip-whep` from npm, in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import ROOT, Server

pytestmark = pytest.mark.browser

PLAYER = ROOT / "tests" / "client_web" / "node_modules" / "whip-whep" / "whep.js"
PAGE = """<!doctype html><video autoplay muted playsinline></video><script type="module">
import { WHEPClient } from "/player.js";
const connection = new RTCPeerConnection();
const video = document.querySelector("video");
for (const kind of SECTIONS) connection.addTransceiver(kind, { direction: "recvonly" });
connection.ontrack = ({ track }) => {
  if (track.kind === "video") video.srcObject = new MediaStream([track]);
};
window.client = new WHEPClient();
window.sdp = {};
window.client.onOffer = (sdp) => (window.sdp.offer = sdp);
window.client.onAnswer = (sdp) => (window.sdp.answer = sdp);
await window.client.view(connection, `${location.origin}/v1/streams/demo/whep`);
</script>"""


@pytest.fixture
def player() -> Path:
    if not PLAYER.exists():
        pytest.skip("no WHEP player: npm --prefix tests/client_web ci")
    return PLAYER


@pytest.mark.parametrize("sections", [["video"], ["audio", "video"], ["video", "audio", "video"]])
def test_a_third_party_player_shows_moving_video(
    server: Server, browser: Browser, player: Path, sections: list[str]
) -> None:
    errors: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        script = PAGE.replace("SECTIONS", str(sections))
        page.route("**/player.html", lambda r: r.fulfill(body=script, content_type="text/html"))
        page.route("**/player.js", lambda r: r.fulfill(path=player, content_type="text/javascript"))
        page.goto(f"{server.address}/player.html")
        shown = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
        page.wait_for_function(f"{shown} > 20", timeout=30_000)
        assert page.evaluate("document.querySelector('video').videoWidth") == 320
        assert page.evaluate("sdp.answer.match(/^m=/gm).length") == len(sections)
        page.evaluate("client.stop()")
        assert server.call("/v1/sessions").json == []
    assert errors == []
