"""A viewer that reaches the server only through a relay; aiortc as the browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.server.network.network import ROOT, python
from tests.server.network.relay import ADDRESS, TURN_SERVER, divided_network

VIEWER = ("-m", "tests.server.network.relayed_viewer", ADDRESS)


def test_a_viewer_without_a_route_to_the_server_watches_through_the_relay(tmp_path: Path) -> None:
    with divided_network(tmp_path) as net:
        inside = ["ip", "netns", "exec", net["viewer"].name]
        way = subprocess.run([*inside, "ip", "route", "get", "10.77.2.2"], capture_output=True)
        assert b"unreachable" in way.stderr, "the server is reachable without the relay"
        done = subprocess.run(
            [*inside, *python(*VIEWER)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    ((url, username, _),) = got["servers"]
    assert url == TURN_SERVER
    assert ":viewer-" in username
    assert got["connected"]
    assert "relay" in (got["local"], got["remote"])
    assert got["view_seq"] == 1
