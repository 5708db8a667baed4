"""Adding and deleting avatars of a real server; the archive is checked by the real command."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from models.avatar.archive import pack_avatar
from models.avatar.folder import SHIPPED
from server.settings import Settings
from tests.server.conftest import Served, serving

SUBJECT = {
    "name": "Zoë",
    "consent": "I agree.",
    "origin": "zoe.mp4 0f3a",
    "created": "2026-01-01",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def storing_server(store: Path) -> Iterator[Served]:
    settings = Settings(
        port=0, workers=1, max_sessions=3, demo=False, avatar_store=store, max_upload_mb=20
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def mine(storing_server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=storing_server.url, timeout=10) as client:
        yield client
        for job in client.get("/v1/avatars/jobs").json():
            client.delete(f"/v1/avatars/jobs/{job['id']}")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an archive of the shipped avatar `default`, marked as a real person."""
    folder = tmp_path_factory.mktemp("archive")
    shutil.copytree(SHIPPED / "default", folder / "zoe")
    manifest = folder / "zoe" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "subject": SUBJECT}))
    pack_avatar(folder / "zoe", folder / "packed")
    return (folder / "packed").read_bytes()


def add(client: httpx2.Client, body: bytes, kind: str, **request: Any) -> httpx2.Response:
    headers = {"Content-Type": kind, "Telewarp-Avatar": json.dumps(request)}
    return client.post("/v1/avatars", content=body, headers=headers)


def until(client: httpx2.Client, path: str, true: Callable[[dict[str, Any]], bool]) -> Any:
    deadline = time.monotonic() + 90
    while not true(found := client.get(path).json()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def ended(job: dict[str, Any]) -> bool:
    return job["state"] in ("done", "failed")


def test_an_archive_becomes_an_avatar_that_is_used_and_deleted(
    mine: httpx2.Client, archive: bytes, store: Path
) -> None:
    answer = add(mine, archive, "application/zip", name="Zoë", id="zoe")
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]
    assert path == f"/v1/avatars/jobs/{answer.json()['id']}"
    assert answer.json()["name"] == "Zoë"
    job = until(mine, path, ended)
    assert (job["state"], job["avatar"], job["error"]) == ("done", "zoe", None)
    assert [each["id"] for each in mine.get("/v1/avatars").json()] == ["default", "zoe"]
    avatar = mine.get("/v1/avatars/zoe").json()
    assert (avatar["real_person"], avatar["subject"]) == (True, SUBJECT)
    assert (avatar["marked"], avatar["deletable"]) == (True, True)
    mine.post("/v1/streams", json={"avatar": "zoe", "id": "hers"})
    assert mine.get("/v1/streams/hers/snapshot.png").status_code == 200
    again = add(mine, archive, "application/zip", name="Zoë", id="zoe")
    assert (again.status_code, "delete it, or give an id" in again.text) == (409, True)
    assert mine.delete("/v1/avatars/zoe").status_code == 204
    gone = mine.get("/v1/streams/hers")
    assert (gone.status_code, gone.json()["detail"]) == (
        404,
        "no stream 'hers': its avatar was deleted",
    )
    assert mine.get(path).status_code == 404
    assert mine.get("/v1/avatars/zoe").status_code == 404
    assert files(store) == []


def test_a_bad_archive_fails_with_its_reason_and_can_be_polled_cheaply(
    mine: httpx2.Client, store: Path
) -> None:
    answer = add(
        mine, b"this is no archive, but a text of some length", "application/zip", name="X"
    )
    path = answer.headers["Location"]
    job = until(mine, path, ended)
    assert (job["state"], job["error"]) == (
        "failed",
        "expected a zip file without a comment, got another file",
    )
    tag = mine.get(path).headers["ETag"]
    same = mine.get(path, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert [each["id"] for each in mine.get("/v1/avatars/jobs").json()] == [job["id"]]
    assert mine.delete(path).status_code == 204
    assert mine.get("/v1/avatars/jobs").json() == []
    assert 'telewarp_avatar_jobs_ended_total{result="failed"} 1.0' in mine.get("/metrics").text


@pytest.mark.parametrize(
    ("kind", "request_", "status", "reason"),
    [
        ("video/mp4", {"name": "Me"}, 400, "consent: expected a value, got nothing"),
        ("video/mp4", {"name": "Me", "consent": " "}, 400, "consent"),
        ("video/mp4", {"consent": "I agree."}, 400, "name: expected a value"),
        ("application/zip", {"name": "Me", "id": "../x"}, 400, "id: expected"),
        ("application/zip", {"name": "Me", "id": "default"}, 409, "another avatar 'default'"),
        ("application/zip", {"name": "Me", "shoe": 1}, 400, "shoe: expected no such field"),
        ("text/plain", {"name": "Me"}, 415, "expected Content-Type application/zip or video/mp4"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason_and_stores_nothing(
    mine: httpx2.Client, store: Path, kind: str, request_: dict[str, Any], status: int, reason: str
) -> None:
    answer = add(mine, b"face", kind, **request_)
    assert (answer.status_code, reason in answer.json()["detail"]) == (status, True), answer.text
    assert mine.get("/v1/avatars/jobs").json() == []
    assert files(store) == []


def test_a_file_over_the_limit_is_refused(mine: httpx2.Client, store: Path) -> None:
    answer = add(mine, bytes(20_000_001), "application/zip", name="Me")
    assert answer.status_code == 413
    assert answer.json()["detail"] == "expected at most 20000000 bytes, got 20000001"

    def chunks() -> Iterator[bytes]:
        for _ in range(21):
            yield bytes(1_000_000)

    headers = {"Content-Type": "application/zip", "Telewarp-Avatar": '{"name": "Me"}'}
    answer = mine.post("/v1/avatars", content=chunks(), headers=headers)
    assert (answer.status_code, "got more" in answer.text) == (413, True)
    assert files(store) == []


def test_an_aborted_upload_leaves_no_files(storing_server: Served, store: Path) -> None:
    def half() -> Iterator[bytes]:
        yield bytes(2_000_000)
        raise ConnectionError("the network is gone")

    headers = {"Content-Type": "application/zip", "Telewarp-Avatar": '{"name": "Me"}'}
    with httpx2.Client(base_url=storing_server.url) as client:
        with pytest.raises(ConnectionError):
            client.post("/v1/avatars", content=half(), headers=headers)
        # A job leaves the list before its files are deleted.
        until(client, "/v1/avatars/jobs", lambda jobs: not jobs and not files(store))


def test_avatars_loaded_at_start_cannot_be_deleted(mine: httpx2.Client) -> None:
    answer = mine.delete("/v1/avatars/default")
    assert answer.status_code == 403
    assert "belongs to --avatars" in answer.json()["detail"]


def test_without_the_option_uploads_are_refused_with_the_reason(http: httpx2.Client) -> None:
    answer = add(http, b"face", "application/zip", name="Me")
    assert answer.status_code == 404
    assert "start the server with --avatar-store DIR" in answer.json()["detail"]
    assert http.delete("/v1/avatars/default").status_code == 404
