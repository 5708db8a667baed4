"""Calls of a real server: messages over the WebSocket, reconnection and close codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from server.auth.grants import Scope
from server.auth.tokens import Tokens
from server.settings import Settings
from tests.server.conftest import Served, serving

SOON_S = 5.0
GRACE_S = 0.4
KEY = "k" * 40


class Guest:
    """A participant that talks to the server as the page does."""

    def __init__(self, socket: ClientConnection, **join: Any) -> None:
        self.socket = socket
        self.say({"type": "join", "name": "Ada", **join})
        self.joined: dict[str, Any] = self.hear()

    def say(self, message: object) -> None:
        self.socket.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(SOON_S))
        return message

    def roster(self, *names: str) -> list[dict[str, Any]]:
        """Wait until exactly these people are in the call; return them."""
        while True:
            message = self.hear()
            people: list[dict[str, Any]] = message.get("people", [])
            if [person["name"] for person in people] == list(names):
                return people

    def present(self, *expected: bool) -> list[dict[str, Any]]:
        """Wait until exactly these seats are connected."""
        while True:
            people: list[dict[str, Any]] = self.hear().get("people", [])
            if [person["present"] for person in people] == list(expected):
                return people


def ended(socket: ClientConnection) -> int | None:
    """Wait until the server closes a socket; return the close code."""
    for _ in range(200):
        try:
            socket.recv(SOON_S)
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code
    return None


@contextmanager
def attending(served: Served, call: str, token: str | None = None, **join: Any) -> Iterator[Guest]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    address = f"ws://{served.host}:{served.port}/v1/calls/{call}"
    with connect(address, additional_headers=headers) as socket:
        yield Guest(socket, **join)


def close_of(served: Served, call: str, first: object) -> tuple[int, str]:
    """Return the close frame that answers this first message."""
    with connect(f"ws://{served.host}:{served.port}/v1/calls/{call}") as socket:
        socket.send(first if isinstance(first, str) else json.dumps(first))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(SOON_S)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.fixture(scope="module")
def call_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(
        port=0, workers=1, max_sessions=3, demo=False, max_calls=2, call_grace_s=GRACE_S
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def calls(call_server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=call_server.url, timeout=10) as client:
        yield client
        for stream in client.get("/v1/streams").json():
            client.delete(f"/v1/streams/{stream['id']}")


def test_two_people_receive_each_others_entry_and_every_change(
    call_server: Served, calls: httpx2.Client
) -> None:
    with attending(call_server, "us") as ada, attending(call_server, "us", name=" Bo  B.") as bo:
        assert (ada.joined["type"], ada.joined["seat"], ada.joined["seats"]) == ("joined", 0, 4)
        people = ada.roster("Ada", "Bo B.")
        assert bo.roster("Ada", "Bo B.") == people
        assert [person["stream"] for person in people] == [
            ada.joined["stream"],
            bo.joined["stream"],
        ]
        assert bo.joined["seat"] == 1
        bo.say({"type": "state", "muted": True, "directions": [
            {"seat": 0, "yaw_rad": 0.1, "pitch_rad": 0}]})  # fmt: skip
        entry = ada.roster("Ada", "Bo B.")[1]
        assert entry["muted"] is True
        assert entry["directions"] == [{"seat": 0, "yaw_rad": 0.1, "pitch_rad": 0.0}]
        assert "resume" not in entry
        described = calls.get("/v1/calls/us").json()
        assert described["seats"] == 4
        assert described["people"][1] == {
            "seat": 1, "name": "Bo B.", "avatar": "default", "present": True,
        }  # fmt: skip
        assert calls.get("/v1/calls/nobody").json()["people"] == []


def test_leaving_deletes_the_stream_and_disconnects_its_viewers(
    call_server: Served, calls: httpx2.Client
) -> None:
    with attending(call_server, "us") as ada, attending(call_server, "us", name="Bo") as bo:
        pictures = f"ws://{call_server.host}:{call_server.port}/v1/streams/{bo.joined['stream']}"
        with connect(f"{pictures}/pictures") as viewer:
            viewer.recv(SOON_S)
            ada.roster("Ada", "Bo")
            bo.say({"type": "leave"})
            ada.roster("Ada")
            assert ended(viewer) is not None
        assert calls.get(f"/v1/streams/{bo.joined['stream']}").status_code == 404
        assert ended(bo.socket) == 1000
    metrics = calls.get("/metrics").text
    assert "telewarp_call_people" in metrics


def test_a_lost_connection_keeps_its_seat_for_the_grace_period(
    call_server: Served, calls: httpx2.Client
) -> None:
    with attending(call_server, "us") as ada:
        with attending(call_server, "us", name="Bo") as bo:
            ada.present(True, True)
        ada.present(True, False)
        with attending(call_server, "us", name="Bo", resume=bo.joined["resume"]) as back:
            assert back.joined["seat"] == 1
            assert back.joined["stream"] == bo.joined["stream"]
            ada.present(True, True)
        ada.present(True, False)
        ada.present(True)
        assert calls.get(f"/v1/streams/{bo.joined['stream']}").status_code == 404


def test_a_second_page_of_one_person_replaces_the_first(
    call_server: Served, calls: httpx2.Client
) -> None:
    with (
        attending(call_server, "us") as ada,
        attending(call_server, "us", resume=ada.joined["resume"]) as again,
    ):
        assert again.joined["seat"] == 0
        assert ended(ada.socket) == 4409
        assert again.roster("Ada")[0]["present"] is True


def test_a_request_without_a_valid_call_is_refused_with_its_reason(
    call_server: Served, calls: httpx2.Client
) -> None:
    join = {"type": "join", "name": "Ada"}
    assert close_of(call_server, "a%20b", join)[0] == 4400
    assert "name of a call must be" in close_of(call_server, "a%20b", join)[1]
    assert close_of(call_server, "us", {**join, "name": " \u202e"})[0] == 4400
    assert "1 to 40 visible characters" in close_of(call_server, "us", {**join, "name": ""})[1]
    assert close_of(call_server, "us", {**join, "avatar": "no"}) == (
        4404, "no avatar 'no'; there are: default",
    )  # fmt: skip
    assert close_of(call_server, "us", {"type": "leave"}) == (
        4400, "expected `join` first, got `leave`",
    )  # fmt: skip
    assert close_of(call_server, "us", "{")[0] == 4400
    assert calls.get("/v1/calls/a%20b").status_code == 400
    with attending(call_server, "one"), attending(call_server, "two"):
        assert close_of(call_server, "three", join) == (4429, "at most 2 calls, all are in use")


def test_a_fifth_person_is_refused_because_the_call_is_full(
    call_server: Served, calls: httpx2.Client
) -> None:
    with (
        attending(call_server, "us"),
        attending(call_server, "us"),
        attending(call_server, "us"),
        attending(call_server, "us"),
    ):
        code, why = close_of(call_server, "us", {"type": "join", "name": "Ed"})
        assert (code, why) == (4409, "expected a free seat, got a call of 4 people: it is full")


def test_a_bad_message_is_answered_with_an_error_and_changes_nothing(
    call_server: Served, calls: httpx2.Client
) -> None:
    with attending(call_server, "us") as ada:
        ada.roster("Ada")
        bad = (
            {"type": "join", "name": "Ada"},
            {"type": "state", "muted": 1},
            {"type": "state", "directions": [{"seat": 4, "yaw_rad": 0, "pitch_rad": 0}]},
            {"type": "state", "directions": [{"seat": 1, "yaw_rad": 9, "pitch_rad": 0}]},
            {"type": "wave"},
        )
        for message in bad:
            ada.say(message)
            assert ada.hear()["type"] == "error"
        ada.say({"type": "state", "muted": True})
        assert ada.roster("Ada")[0]["muted"] is True


def test_only_a_token_for_the_calls_name_admits_to_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(f'signing_keys = ["{KEY}"]\n')
    keys = Tokens({}, (KEY,))
    both = keys.sign([Scope.PUBLISH, Scope.VIEW], ["us"], 600)
    other_call = keys.sign([Scope.PUBLISH, Scope.VIEW], ["them"], 600)
    publisher = keys.sign([Scope.PUBLISH], ["us"], 600)
    viewer = keys.sign([Scope.VIEW], None, 600)
    admin = keys.sign([Scope.ADMIN], None, 600)
    settings = Settings(port=0, workers=1, max_sessions=3, demo=False, tokens=file)

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    with (
        serving(settings) as served,
        httpx2.Client(base_url=served.url, timeout=10) as http,
        attending(served, "us", both) as ada,
    ):
        stream = f"/v1/streams/{ada.joined['stream']}"
        for token, reason in (
            (publisher, "expected a token with scope view, got one with publish"),
            (viewer, "expected a token with scope publish, got one with view"),
            (other_call, "expected a token for stream 'us', got one for: them"),
        ):
            with pytest.raises(ConnectionClosed) as closed, attending(served, "us", token):
                pass
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, reason)
        for headers, status in (({}, 401), (bearer(other_call), 403), (bearer(viewer), 200)):
            assert http.get("/v1/calls/us", headers=headers).status_code == status
        assert http.get("/v1/calls/us", headers=bearer(both)).json()["people"][0]["name"] == "Ada"
        # The token permits the stream of the call; other tokens get 403 even with its id.
        frame = {"seq": 1, "expression": {}}
        assert http.post(f"{stream}/frames", json=frame, headers=bearer(both)).status_code == 202
        assert (
            http.post(f"{stream}/frames", json=frame, headers=bearer(other_call)).status_code == 403
        )
        # Only admins see its id in the list.
        assert http.get("/v1/streams", headers=bearer(viewer)).json() == []
        assert http.get("/v1/streams", headers=bearer(both)).json() == []
        assert len(http.get("/v1/streams", headers=bearer(admin)).json()) == 1
        # Clients cannot create a stream whose id contains a colon.
        taken = http.post("/v1/streams", json={"id": "us:x"}, headers=bearer(both))
        assert taken.status_code == 400
