"""Soak test: connect and disconnect viewers for a long time, and check for leaks.

    .venv/bin/python scripts/soak.py --cycles 500
    .venv/bin/python scripts/soak.py --cycles 100000 --limit-s 3600 --faults-every 20

Starts a server. In every cycle a viewer connects by WebRTC, waits for a frame and disconnects;
every fourth one leaves before its first frame, and every fifth one does not end its session, like a
viewer whose network fails. With `--faults-every` a worker is killed regularly, and a publisher
sends invalid data or disconnects in the middle of a line. Ends with one line of JSON: the number of
viewers who waited for a frame and got none, and the server's memory (MB, shared pages counted
once), threads, open files and shared memory blocks after the first tenth, every `--report-s` and at
the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import tyro
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from scripts.benchmarking.serving import memory_mb, serve
from server.pool.process_tree import children
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

_FIRST_FRAME_S = 20.0
"""Timeout for the first frame of a viewer."""
_ABANDON_EVERY = 5
"""Every so many viewers, one does not end its session."""
_LEAVE_EARLY_EVERY = 4
"""Every so many viewers, one does not wait for a frame."""
_IDLE_S = 5.0
"""Timeout after which the server ends sessions without messages."""
_MAX_SESSIONS = 32
"""Abandoned sessions count until their timeout."""
_KEEPALIVE_S = 1.0
"""Interval of a viewer's messages, as of the page: a viewer that connects while a killed worker
restarts waits longer for its first frame than `_IDLE_S`."""


@dataclass(frozen=True)
class Options:
    """Run a soak test."""

    cycles: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 500
    """Number of viewers, one after the other."""
    limit_s: float = 600.0
    """Start no further cycle after this time."""
    faults_every: int = 0
    """Cycles between faults; 0 for no faults."""
    report_s: float = 900.0
    """Interval at which the use of resources is noted."""
    pause_s: float = 0.0
    """Pause between two viewers, to leave CPU time to other programs."""


def main(options: Options) -> int:
    """Run the test. Returns the exit code: 1 if a viewer received no frame."""
    enable_loopback_fallback()
    with serve("--idle-session-s", str(_IDLE_S), "--max-sessions", str(_MAX_SESSIONS)) as (
        address,
        pid,
    ):
        result = asyncio.run(_soak(options, address, pid))
    print(json.dumps(result))
    return 1 if result["failures"] else 0


async def _soak(options: Options, address: str, pid: int) -> dict[str, Any]:
    began = time.monotonic()
    done = faults = 0
    failures: list[str] = []
    early: dict[str, int] | None = None
    reports: list[dict[str, int]] = []
    async with httpx2.AsyncClient(base_url=address, timeout=30) as http:
        while done < options.cycles and time.monotonic() - began < options.limit_s:
            if failure := await _visit(http, done):
                failures.append(f"viewer {done}: {failure}")
            done += 1
            if options.faults_every and done % options.faults_every == 0:
                faults += 1
                _cause_fault(faults, address, pid)
            # After a tenth, what is allocated once has been allocated; what grows from then on is a
            # leak.
            if done == max(1, options.cycles // 10):
                early = await _rest_and_look(pid)
                print(f"after {done} cycles: {early}", flush=True)
            elapsed_s = round(time.monotonic() - began)
            if elapsed_s >= options.report_s * (len(reports) + 1):
                reports.append({"at_s": elapsed_s, "viewers": done, **await _rest_and_look(pid)})
                print(reports[-1], flush=True)
            await asyncio.sleep(options.pause_s)
        end = await _rest_and_look(pid)
        sessions = (await http.get("/v1/sessions")).json()
    return {
        "cycles": done,
        "failures": failures,
        "faults": faults,
        "seconds": round(time.monotonic() - began),
        "sessions_left": len(sessions),
        "early": early,
        "reports": reports,
        "end": end,
    }


async def _rest_and_look(pid: int) -> dict[str, int]:
    """Return the use of resources after the timeout of the last abandoned session."""
    await asyncio.sleep(_IDLE_S + 1)
    return _resource_use(pid)


async def _visit(http: httpx2.AsyncClient, number: int) -> str | None:
    """Connect, wait for a frame and disconnect, as the viewer of this number does.

    Returns:
        Reason why no frame was received; None if one was, or if the viewer did not wait.
    """
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    video = connection.addTransceiver("video", direction="recvonly")
    keepalive = asyncio.create_task(_keep_alive(connection.createDataChannel("view")))
    session = ""
    try:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await _offer(http, connection.localDescription.sdp)
        if answer.status_code != 201:
            return f"status {answer.status_code}: {answer.text}"
        session = answer.headers["location"]
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        if number % _LEAVE_EARLY_EVERY != 1:
            await asyncio.wait_for(video.receiver.track.recv(), _FIRST_FRAME_S)
        return None
    except TimeoutError:
        return f"no frame within {_FIRST_FRAME_S:g} s"
    except MediaStreamError:
        return "the video has ended"
    finally:
        keepalive.cancel()
        if session and number % _ABANDON_EVERY != 0:
            await http.delete(session)
        await connection.close()


async def _offer(http: httpx2.AsyncClient, sdp: str) -> httpx2.Response:
    """Post an offer as the page does, repeated while the server answers with `Retry-After`.

    It does so briefly after a worker was killed twice in a row.
    """
    headers = {"Content-Type": "application/sdp"}
    deadline = time.monotonic() + _FIRST_FRAME_S
    while True:
        answer = await http.post("/v1/streams/demo/whep", content=sdp, headers=headers)
        pause_s = float(answer.headers.get("Retry-After", "inf"))
        if answer.status_code != 503 or time.monotonic() + pause_s > deadline:
            return answer
        await asyncio.sleep(pause_s)


async def _keep_alive(channel: RTCDataChannel) -> None:
    """Send messages until cancelled."""
    while True:
        if channel.readyState == "open":
            channel.send(json.dumps({"type": "ping", "sent_at_ms": time.monotonic() * 1e3}))
        await asyncio.sleep(_KEEPALIVE_S)


def _cause_fault(number: int, address: str, pid: int) -> None:
    """Kill a worker, disconnect while publishing, or publish invalid data, in turn."""
    match number % 3:
        case 1:
            for worker in _workers(pid)[:1]:  # none if the last one has not restarted yet
                os.kill(worker, signal.SIGKILL)
        case 2:
            _publish(address, b'Transfer-Encoding: chunked\r\n\r\n20\r\n{"seq": 1')
        case _:
            _publish(address, b"Content-Length: 4\r\n\r\n\xff\x00}{")


def _workers(pid: int) -> list[int]:
    return [p for p in children(pid) if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def _publish(address: str, rest: bytes) -> None:
    """Send the start of a request that posts frames, and disconnect."""
    url = httpx2.URL(address)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/streams/demo/frames HTTP/1.1\r\nHost: soak\r\n"
            b"Content-Type: application/x-ndjson\r\n" + rest
        )


def _resource_use(pid: int) -> dict[str, int]:
    """Return memory, threads, files and shared memory blocks of the server and its workers."""
    pids = [pid, *children(pid)]
    return {
        **memory_mb(pid),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "worker_files": sum(len(list(Path(f"/proc/{p}/fd").iterdir())) for p in pids[1:]),
        "shared_blocks": sum(
            "/dev/shm/psm_" in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        ),
    }


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
