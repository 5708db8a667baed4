"""The waiting line over HTTP: a full server, tickets, and getting in by either way of watching."""

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

PLACES = 3


class House:
    """A server whose places are all taken by viewers of images."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self.address = address
        self.stack = stack
        self.inside = [self.watch() for _ in range(PLACES)]

    def watch(self, *subprotocols: str) -> ClientConnection:
        offered = [Subprotocol(name) for name in subprotocols] or None
        socket = self.stack.enter_context(connect(self.address, subprotocols=offered))
        hello = json.loads(socket.recv(10))
        assert hello["type"] == "session"
        look = {"type": "view", "seq": 1, "eye": {"rotation": [0, 0, 0, 1], "position": [0, 0, 1]}}
        socket.send(json.dumps(look))
        return socket

    def one_leaves(self) -> None:
        self.inside.pop().close()


@pytest.fixture
def full(served: Served, http: httpx2.Client, stream: str) -> Iterator[House]:
    deadline = time.monotonic() + 10
    while (state := http.get("/readyz").json())["sessions"] or state["waiting"]:
        assert time.monotonic() < deadline, f"others do not leave: {state}"
        time.sleep(0.05)
    with ExitStack() as stack:
        yield House(f"ws://{served.host}:{served.port}/v1/streams/{stream}/pictures", stack)


def until_called(http: httpx2.Client, ticket: str) -> None:
    for _ in range(500):
        if http.get(ticket).json()["place"] == 0:
            return
    pytest.fail("the turn never came")


async def test_a_full_server_gives_the_reason_and_retry_after(
    http: httpx2.Client, full: House, stream: str
) -> None:
    answer = http.post(f"/v1/streams/{stream}/whep", content=await offer(), headers=SDP)
    refused(answer, 503, "all 3 places for viewers are taken, and 0 viewers wait")
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["reason"] == "full"


async def test_queued_viewers_are_admitted_in_order_and_nobody_before_them(
    http: httpx2.Client, full: House, stream: str
) -> None:
    whep = f"/v1/streams/{stream}/whep"
    joined = http.post(f"/v1/streams/{stream}/queue")
    assert joined.status_code == 201
    ticket = joined.headers["location"]
    assert ticket == f"/v1/queue/{joined.json()['ticket']}"
    behind = http.post(f"/v1/streams/{stream}/queue").headers["location"]
    assert http.get(ticket).json() == joined.json() | {"place": 1, "waiting": 2}
    assert http.get(behind).json()["place"] == 2
    assert http.get("/readyz").json() | {"workers": 1} == {
        "status": "ready",
        "workers": 1,
        "sessions": 3,
        "capacity": 3,
        "waiting": 2,
        "problems": [],
    }
    full.one_leaves()
    until_called(http, ticket)
    assert http.get(behind).json()["place"] == 1
    for late in ({}, {"Telewarp-Ticket": behind.rsplit("/", 1)[-1]}):
        answer = http.post(whep, content=await offer(), headers=SDP | late)
        refused(answer, 503, "and 2 viewers wait")
    with_ticket = SDP | {"Telewarp-Ticket": joined.json()["ticket"]}
    assert http.post(whep, content=await offer(), headers=with_ticket).status_code == 201
    refused(http.get(ticket), 404, "join again")
    assert http.delete(behind).status_code == 204
    refused(http.delete(behind), 404, "no such ticket")
    assert "telewarp_waiting_viewers 0.0" in http.get("/metrics").text


def test_a_jpeg_viewer_sends_its_ticket_as_a_subprotocol(
    http: httpx2.Client, full: House, stream: str
) -> None:
    joined = http.post(f"/v1/streams/{stream}/queue")
    full.one_leaves()
    until_called(http, joined.headers["location"])
    with connect(full.address) as newcomer, pytest.raises(ConnectionClosed) as caught:
        newcomer.recv(10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4503
    socket = full.watch("telewarp", f"telewarp.ticket.{joined.json()['ticket']}")
    assert socket.subprotocol == "telewarp"


def test_there_is_no_line_for_a_stream_that_is_not_there(http: httpx2.Client) -> None:
    refused(http.post("/v1/streams/nowhere/queue"), 404, "no stream 'nowhere'")


def test_the_status_reports_sessions_and_queue(http: httpx2.Client) -> None:
    status = http.get("/v1/status").json()
    assert status["capacity"] == PLACES
    assert status["measured"] is None
    assert status["draining"] is False
