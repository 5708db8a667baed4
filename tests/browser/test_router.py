"""The viewer behind a router: two origins; only the router receives the viewer's token."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2
import pytest
from playwright.sync_api import Request

from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from tests.browser.conftest import _free_port
from tests.warm_python import WarmPython

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live' && window.telewarp.stats().way === '{}'"
_READY_S = 60.0
FRAME = """
  const { packedMesh } = await import("/js/connection/packed_mesh.js");
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0, 0] };
  const captured_at_ms = Date.now();
  const expression = Array(52).fill(0);
  const frame = packedMesh({ seq: captured_at_ms, captured_at_ms, head, expression });
"""
STATUS_OF = """async (address) => {
  const { access } = await import("/js/connection/access.js");
  return (await access.fetch(address)).status;
}"""
PUBLISH_BY_VOICE = f"""async () => {{
  const {{ WhipSession }} = await import("/js/connection/whip_session.js");
  window.whip = new WhipSession(null, {{}});
  await window.whip.open(new URL("/v1/streams/demo/whip", location.href));
  {FRAME}
  window.whip.send(frame);
}}"""
PUBLISH_BY_SOCKET = f"""async () => {{
  const {{ openMeshPublisher }} = await import("/js/connection/mesh_publisher.js");
  const publisher = await openMeshPublisher(new URL("/", location.href), "demo", {{}});
  {FRAME}
  publisher.send(frame);
}}"""


class Cluster(NamedTuple):
    """A router in front of one host; both require tokens."""

    router: str
    host: str
    tokens: Tokens

    def token(self, *scopes: Scope) -> str:
        return self.tokens.sign(scopes, None, 5)

    def call(self, method: str, address: str, *scopes: Scope) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {self.token(*scopes)}"}
        return httpx2.request(method, address, headers=bearer)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Iterator[Cluster]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    file = folder / "tokens.toml"
    file.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    router, host = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    commands = [
        f"tests.server.network.fake_server --port {host.rpartition(':')[2]} --tokens {file}"
        f" --public-url {host} --allowed-origins {router}",
        f"server.cluster --port {router.rpartition(':')[2]} --tokens {file} --hosts {host}"
        f" --connect-sources {host},{host.replace('http', 'ws')}",
    ]
    with (folder / "log.txt").open("wb") as log:
        processes = [
            warm_python.start("-m", *command.split(), stdout=log, stderr=log)
            for command in commands
        ]
        try:
            wait_ready(router, folder / "log.txt")
            yield Cluster(router, host, read_tokens(file))
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                assert process.wait(15) == 0


def wait_ready(router: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            if httpx2.get(f"{router}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_a_viewer_with_a_token_at_the_router_gets_video_from_the_host(
    cluster: Cluster, open_page: OpenPage
) -> None:
    token = cluster.token(Scope.VIEW, Scope.DRIVE)
    page = open_page("about:blank", bypass_csp=False)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.goto(f"{cluster.router}/#token={token}")
    deadline = time.monotonic() + 30
    while not page.evaluate(LIVE.format("webrtc")):
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    assert page.url == f"{cluster.router}/"
    to_host = [request for request in requests if request.url.startswith(cluster.host)]
    joining = [request for request in to_host if re.search(r"/whep\?.*\bpass=", request.url)]
    assert len(joining) == 1
    sent_tokens = [request.all_headers().get("authorization") for request in to_host]
    assert f"Bearer {token}" not in sent_tokens
    (session,) = cluster.call("GET", f"{cluster.host}/v1/sessions", Scope.ADMIN).json()
    assert session["stream"] == "demo"
    again = httpx2.post(joining[0].url, content="v=0")
    assert again.status_code == 401
    assert "has been used" in again.json()["detail"]
    page.close()  # the page ends its session by DELETE, with the host's token
    deadline = time.monotonic() + 5
    while cluster.call("GET", f"{cluster.host}/v1/sessions", Scope.ADMIN).json():
        assert time.monotonic() < deadline, "the session did not end"
        time.sleep(0.1)


def test_jpeg_frames_come_from_the_host_if_webrtc_is_blocked(
    cluster: Cluster, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    page.add_init_script(
        "Object.defineProperty(RTCPeerConnection.prototype, 'connectionState',"
        " { get: () => 'connecting' })"
    )
    page.goto(f"{cluster.router}/#token={cluster.token(Scope.VIEW)}")
    page.wait_for_function(LIVE.format("pictures"), timeout=30_000)


def test_a_viewer_publishes_to_the_host_with_and_without_voice(
    cluster: Cluster, open_page: OpenPage
) -> None:
    token = cluster.token(Scope.VIEW, Scope.PUBLISH)
    page = open_page("about:blank")
    answers: dict[str, int] = {}
    page.on(
        "response",
        lambda answer: answers.update({f"{answer.request.method} {answer.url}": answer.status}),
    )
    page.goto(f"{cluster.router}/#token={token}")
    page.wait_for_function(LIVE.format("webrtc"), timeout=30_000)
    page.evaluate(PUBLISH_BY_VOICE)  # a publication is opened after the session
    stream = f"{cluster.host}/v1/streams/demo"
    assert wait_for_frames(cluster, stream, 1)
    page.evaluate(PUBLISH_BY_SOCKET)
    assert wait_for_frames(cluster, stream, 2)
    (session,) = cluster.call("GET", f"{cluster.host}/v1/sessions", Scope.ADMIN).json()
    assert page.evaluate(STATUS_OF, f"{cluster.host}/v1/sessions/{session['id']}") == 200
    page.evaluate("window.whip.close()")
    deadline = time.monotonic() + 10
    while not (ended := [status for way, status in answers.items() if way.startswith("DELETE")]):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    # Another token would give 401. The connection closes as well: if the server notices that
    # first, the publication has already ended (404).
    assert ended in ([204], [404])


def wait_for_frames(cluster: Cluster, stream: str, count: int) -> bool:
    """Wait until a stream has accepted `count` frames; return whether it has."""
    deadline = time.monotonic() + 5
    while cluster.call("GET", stream, Scope.VIEW).json()["accepted"] < count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_router_redirects_only_viewers_with_a_view_token(cluster: Cluster) -> None:
    address = f"{cluster.router}/v1/streams/demo/whep"
    assert httpx2.post(address, content="v=0").status_code == 401
    assert cluster.call("POST", address, Scope.PUBLISH).status_code == 403
    sent = cluster.call("POST", address, Scope.VIEW)
    assert sent.status_code == 307
    assert sent.headers["location"].startswith(f"{cluster.host}/v1/streams/demo/whep?pass=")
    assert sent.headers["cache-control"] == "no-store"
