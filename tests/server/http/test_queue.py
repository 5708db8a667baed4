"""The queue over HTTP: a full server, tickets, and admission over WHEP and the JPEG fallback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.server.conftest import Served
from tests.server.http.test_whep import SDP, offer, refused

SESSION_LIMIT = 3


class FullServer:
    """A server whose session slots are all held by viewers of the JPEG fallback."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self.address = address
        self.stack = stack
        self.viewers = [self.watch() for _ in range(SESSION_LIMIT)]

    def watch(self, *subprotocols: str) -> ClientConnection:
        offered = [Subprotocol(name) for name in subprotocols] or None
        socket = self.stack.enter_context(connect(self.address, subprotocols=offered))
        hello = json.loads(socket.recv(10))
        assert hello["type"] == "session"
        look = {"type": "view", "seq": 1, "eye": {"rotation": [0, 0, 0, 1], "position": [0, 0, 1]}}
        socket.send(json.dumps(look))
        return socket

    def disconnect_one(self) -> None:
        self.viewers.pop().close()


@pytest.fixture
def full(served: Served, http: httpx2.Client, stream: str) -> Iterator[FullServer]:
    deadline = time.monotonic() + 10
    while (state := http.get("/readyz").json())["sessions"] or state["waiting"]:
        assert time.monotonic() < deadline, f"sessions of other tests remain: {state}"
        time.sleep(0.05)
    with ExitStack() as stack:
        yield FullServer(f"ws://{served.host}:{served.port}/v1/streams/{stream}/pictures", stack)


def wait_for_slot(http: httpx2.Client, ticket: str) -> None:
    for _ in range(500):
        if http.get(ticket).json()["place"] == 0:
            return
    pytest.fail("the ticket never reached position 0")


async def test_a_full_server_answers_with_the_reason_and_retry_after(
    http: httpx2.Client, full: FullServer, stream: str
) -> None:
    answer = http.post(f"/v1/streams/{stream}/whep", content=await offer(), headers=SDP)
    refused(answer, 503, "all 3 session slots are in use, and 0 viewers wait")
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["reason"] == "full"


async def test_queued_viewers_are_admitted_in_order_and_before_anyone_else(
    http: httpx2.Client, full: FullServer, stream: str
) -> None:
    whep = f"/v1/streams/{stream}/whep"
    joined = http.post(f"/v1/streams/{stream}/queue")
    assert joined.status_code == 201
    ticket = joined.headers["location"]
    assert ticket == f"/v1/queue/{joined.json()['ticket']}"
    second_ticket = http.post(f"/v1/streams/{stream}/queue").headers["location"]
    assert http.get(ticket).json() == joined.json() | {"place": 1, "waiting": 2}
    assert http.get(second_ticket).json()["place"] == 2
    assert http.get("/readyz").json() | {"workers": 1} == {
        "status": "ready",
        "workers": 1,
        "sessions": 3,
        "capacity": 3,
        "waiting": 2,
        "problems": [],
    }
    full.disconnect_one()
    wait_for_slot(http, ticket)
    assert http.get(second_ticket).json()["place"] == 1
    for without_slot in ({}, {"Telewarp-Ticket": second_ticket.rsplit("/", 1)[-1]}):
        answer = http.post(whep, content=await offer(), headers=SDP | without_slot)
        refused(answer, 503, "and 2 viewers wait")
    with_ticket = SDP | {"Telewarp-Ticket": joined.json()["ticket"]}
    assert http.post(whep, content=await offer(), headers=with_ticket).status_code == 201
    refused(http.get(ticket), 404, "join again")
    assert http.delete(second_ticket).status_code == 204
    refused(http.delete(second_ticket), 404, "no such ticket")
    assert "telewarp_waiting_viewers 0.0" in http.get("/metrics").text


def test_a_jpeg_viewer_sends_its_ticket_as_a_subprotocol(
    http: httpx2.Client, full: FullServer, stream: str
) -> None:
    joined = http.post(f"/v1/streams/{stream}/queue")
    full.disconnect_one()
    wait_for_slot(http, joined.headers["location"])
    with connect(full.address) as newcomer, pytest.raises(ConnectionClosed) as caught:
        newcomer.recv(10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4503
    socket = full.watch("telewarp", f"telewarp.ticket.{joined.json()['ticket']}")
    assert socket.subprotocol == "telewarp"


def test_a_missing_stream_has_no_queue(http: httpx2.Client) -> None:
    refused(http.post("/v1/streams/nowhere/queue"), 404, "no stream 'nowhere'")


def test_status_reports_sessions_and_queue(http: httpx2.Client) -> None:
    status = http.get("/v1/status").json()
    assert status["capacity"] == SESSION_LIMIT
    assert status["measured"] is None
    assert status["draining"] is False
