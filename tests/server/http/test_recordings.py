"""Recordings of a real server: start, stop, download, replay, deletion and access."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from server.auth.grants import Scope
from server.auth.tokens import Tokens
from server.protocol.states import MeshState
from server.recordings.file_format import read_meshes
from server.settings import Settings
from tests.server.conftest import Served, serving

KEY = "k" * 40


@pytest.fixture(scope="module")
def recording_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("recordings")
    tokens = folder / "tokens.toml"
    tokens.write_text(f'signing_keys = ["{KEY}"]\n')
    settings = Settings(
        port=0,
        workers=1,
        max_sessions=3,
        demo=False,
        tokens=tokens,
        recordings=folder / "kept",
        max_recordings=4,
    )
    with serving(settings) as running:
        yield running


def client(served: Served, scope: Scope, *streams: str) -> httpx2.Client:
    token = Tokens({}, (KEY,)).sign([scope], list(streams) or None, 600)
    return httpx2.Client(
        base_url=served.url, timeout=10, headers={"Authorization": f"Bearer {token}"}
    )


@pytest.fixture
def mine(recording_server: Served) -> Iterator[httpx2.Client]:
    with client(recording_server, Scope.PUBLISH) as http:
        http.post("/v1/streams", json={"id": "me"})
        yield http
        for recording in http.get("/v1/recordings").json():
            http.delete(f"/v1/recordings/{recording['id']}")
        http.delete("/v1/streams/me")


def record(http: httpx2.Client, frames: int = 5) -> str:
    recording = http.post("/v1/streams/me/recordings")
    assert recording.status_code == 201, recording.text
    assert recording.headers["Location"] == f"/v1/recordings/{recording.json()['id']}"
    for seq in range(frames):
        frame = {"seq": seq, "expression": {"jawOpen": seq / 10}, "captured_at_ms": 7.0 * seq}
        assert http.post("/v1/streams/me/frames", json=frame).json()["accepted"] == 1
    return str(recording.json()["id"])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "expected condition not met in time"
        time.sleep(0.01)


def test_a_recording_is_made_downloaded_and_deleted(
    mine: httpx2.Client, recording_server: Served, tmp_path: Path
) -> None:
    made = record(mine)
    running = mine.get(f"/v1/recordings/{made}").json()
    assert (running["stream"], running["recording"], running["ended"]) == ("me", True, None)
    stopped = mine.post(f"/v1/recordings/{made}/stop").json()
    assert (stopped["frames"], stopped["recording"], stopped["ended"]) == (5, False, "stopped")
    download = mine.get(f"/v1/recordings/{made}/file")
    assert download.headers["Content-Type"] == "application/x-ndjson"
    assert len(download.content) == stopped["bytes"]
    copy = tmp_path / "copy.ndjson"
    copy.write_bytes(download.content)
    avatar = recording_server.app.state.streams.get("me").avatar
    jaw = avatar.expression_names.index("jawOpen")
    found = [frame.mesh.expression[jaw] for frame in read_meshes(copy, avatar)]
    assert found == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert mine.delete(f"/v1/recordings/{made}").status_code == 204
    assert mine.get(f"/v1/recordings/{made}/file").status_code == 404
    folder = recording_server.app.state.settings.recordings
    assert list(folder.iterdir()) == []


def test_a_running_recording_can_be_downloaded(mine: httpx2.Client) -> None:
    made = record(mine)
    until(lambda: mine.get(f"/v1/recordings/{made}/file").text.count('"type":"mesh"') >= 4)


def test_a_replay_gives_the_same_frames(mine: httpx2.Client, recording_server: Served) -> None:
    made = record(mine)
    mine.post(f"/v1/recordings/{made}/stop")
    mine.post("/v1/streams", json={"id": "other"})
    stream = recording_server.app.state.streams.get("other")
    shown: list[MeshState] = []
    stream.on_published.append(shown.append)
    answer = mine.post(f"/v1/recordings/{made}/replay", json={"stream": "other"})
    assert answer.status_code == 202, answer.text
    until(lambda: len(shown) == 5)
    path = recording_server.app.state.recordings.get(made).path
    recorded = list(read_meshes(path, stream.avatar))
    for frame, mesh in zip(recorded, shown, strict=True):
        assert mesh.expression.tobytes() == frame.mesh.expression.tobytes()
        assert mesh.head_rotation.tobytes() == frame.mesh.head_rotation.tobytes()
        assert mesh.captured_at_ms == frame.mesh.captured_at_ms
    apart_s = shown[-1].received_at - shown[0].received_at
    assert apart_s == pytest.approx((recorded[-1].at_ms - recorded[0].at_ms) / 1e3, abs=0.1)
    busy = mine.post(f"/v1/recordings/{made}/replay", json={"stream": "other"})
    assert (busy.status_code, "has a publisher" in busy.text) == (429, True)
    mine.delete("/v1/streams/other")
    assert mine.post(f"/v1/recordings/{made}/replay", json={"stream": "other"}).status_code == 404


def test_recordings_above_the_limit_are_refused_with_the_reason(mine: httpx2.Client) -> None:
    for _ in range(4):
        assert mine.post("/v1/streams/me/recordings").status_code == 201
    refused = mine.post("/v1/streams/me/recordings")
    assert refused.status_code == 429
    assert refused.json()["detail"] == "at most 4 recordings: delete one first"


@pytest.mark.parametrize(
    ("scope", "streams", "status"),
    [(Scope.VIEW, ("me",), 403), (Scope.PUBLISH, ("someone",), 404), (Scope.PUBLISH, ("me",), 200)],
)
def test_only_a_token_that_may_publish_to_the_stream_may_use_its_recordings(
    mine: httpx2.Client, recording_server: Served, scope: Scope, streams: tuple[str], status: int
) -> None:
    made = record(mine)
    with client(recording_server, scope, *streams) as other:
        start = other.post("/v1/streams/me/recordings")
        assert start.status_code == (201 if status == 200 else 403)
        assert other.get(f"/v1/recordings/{made}").status_code == status
        assert other.get(f"/v1/recordings/{made}/file").status_code == status
        listed = other.get("/v1/recordings")
        seen = [each["id"] for each in listed.json()] if listed.status_code == 200 else []
        assert (made in seen) == (status == 200)
        replay = other.post(f"/v1/recordings/{made}/replay", json={"stream": "me"})
        assert replay.status_code == (429 if status == 200 else status)
        assert other.post(f"/v1/recordings/{made}/stop").status_code == status
        assert other.delete(f"/v1/recordings/{made}").status_code == (
            204 if status == 200 else status
        )
    assert (mine.get(f"/v1/recordings/{made}").status_code == 200) == (status != 200)


def test_without_the_option_recordings_are_refused_with_the_reason(
    http: httpx2.Client, stream: str
) -> None:
    answer = http.post(f"/v1/streams/{stream}/recordings")
    assert answer.status_code == 404
    assert "start the server with --recordings DIR" in answer.json()["detail"]
