"""Watching over a link with 5% packet loss and 100 ms of delay per direction."""

from __future__ import annotations

import logging
import subprocess
import time
from itertools import pairwise
from pathlib import Path

from tests.server.network.impaired_link import impaired_link
from tests.server.network.network import namespaces, python, require_namespaces, wait_for

logger = logging.getLogger(__name__)

HOST, VIEWER = "10.78.1.1", "10.78.1.2"
LOSS, DELAY_S = 0.05, 0.1
FPS = 30
_PING = """
import socket, sys, time

host, count = sys.argv[1], int(sys.argv[2])
mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mine.settimeout(1)
if not count:
    mine.bind((host, 9))
    print("echoing", flush=True)
    mine.settimeout(None)
    while True:
        mine.sendto(*mine.recvfrom(2000))
began = time.monotonic()
for number in range(count):
    mine.sendto(b"%d" % number, (host, 9))
answered = 0
try:
    while True:
        mine.recv(2000)
        answered += 1
        first_s = time.monotonic() - began if answered == 1 else first_s
except TimeoutError:
    print(answered, first_s)
"""


def test_an_impaired_link_loses_and_delays_packets(tmp_path: Path) -> None:
    require_namespaces()
    log = tmp_path / "echo.txt"
    with (
        namespaces("viewer", "server") as net,
        impaired_link(net["viewer"], VIEWER, net["server"], HOST) as link,
        net["server"].running(log, *python("-c", _PING, HOST, "0")),
    ):
        wait_for(log, "echoing")
        link.loss, link.delay_s = LOSS, DELAY_S
        ping = ["ip", "netns", "exec", net["viewer"].name, *python("-c", _PING, HOST, "400")]
        answered, first_s = subprocess.check_output(ping, text=True, timeout=30).split()
    assert 0.6 * 400 < int(answered) < 0.97 * 400  # 0.95 squared is 0.90; load adds delay
    assert float(first_s) > 2 * DELAY_S


class Frames:
    """Times at which a viewer decoded frames, from its log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def _decoded_at(self) -> list[float]:
        *lines, _ = self._log.read_text().split("\n")
        return [float(line) for line in lines]

    def rate(self, seconds: float) -> float:
        """Return the frame rate over the next `seconds`."""
        before = len(self._decoded_at())
        time.sleep(seconds)
        return (len(self._decoded_at()) - before) / seconds

    def wait(self, timeout_s: float) -> float:
        """Wait for the next frame; return how long it took, seconds."""
        began, before = time.monotonic(), len(self._decoded_at())
        while len(self._decoded_at()) == before:
            assert time.monotonic() - began < timeout_s, "the video is frozen"
            time.sleep(0.01)
        return time.monotonic() - began

    def longest_gap_s(self, since: float) -> float:
        decoded_at = [at for at in self._decoded_at() if at >= since]
        return max(late - early for early, late in pairwise(decoded_at))


def test_video_continues_over_an_impaired_link_and_recovers_within_2_s(tmp_path: Path) -> None:
    require_namespaces()
    server, viewer = tmp_path / "server.txt", tmp_path / "viewer.txt"
    with (
        namespaces("viewer", "server") as net,
        impaired_link(net["viewer"], VIEWER, net["server"], HOST) as link,
        net["server"].running(server, *_fake_server()),
    ):
        wait_for(server, "showing the face")
        with net["viewer"].running(viewer, *_viewer()):
            frames = Frames(viewer)
            for _ in range(10):
                frames.wait(20)
            clean = frames.rate(2)
            bad_since = time.monotonic()
            link.loss, link.delay_s = LOSS, DELAY_S
            bad = frames.rate(5)
            longest_s = frames.longest_gap_s(bad_since)
            link.loss = link.delay_s = 0.0
            frozen_s = frames.wait(2)
            time.sleep(2 - frozen_s)
            after = frames.rate(2)
    logger.info(
        "%.1f frames a second; %.1f over the impaired link, longest gap %.2f s; "
        "the first %.2f s after the loss, then %.1f",
        *(clean, bad, longest_s, frozen_s, after),
    )
    assert link.lost > 0
    assert bad > 0.6 * clean
    assert after > 0.8 * clean


def _fake_server() -> list[str]:
    options = ("--host", HOST, "--insecure", "--workers", "1", "--fps", str(FPS))
    return python("-m", "tests.server.network.fake_server", *options)


def _viewer() -> list[str]:
    return python("-m", "tests.server.network.watching_viewer", f"http://{HOST}:8000")
