"""Have viewers come and go for long, and see whether anything is left behind.

    .venv/bin/python scripts/soak.py --cycles 500

Starts a server of its own. In every cycle a viewer connects by WebRTC, waits for a picture and
leaves; every fifth leaves without a word, as one does whose network is gone. Ends with one JSON
line: how many got no picture, and the server's memory (MB, shared pages counted once), threads,
open files and blocks of shared memory after the first tenth and at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import tyro
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from scripts.benchmarking.serving import children, memory_mb, serve
from server.webrtc.ice import offer_loopback_when_alone

_FIRST_PICTURE_S = 20.0
_RUDE_EVERY = 5
_IDLE_S = 3.0
"""After so long the server ends sessions that say nothing."""


@dataclass(frozen=True)
class Options:
    """How long."""

    cycles: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 500
    limit_s: float = 600.0
    """Begin no further cycle after this."""


def main(options: Options) -> int:
    """Run it; returns the exit code: 1 where a viewer got no picture."""
    offer_loopback_when_alone()
    with serve("--idle-session-s", str(_IDLE_S), "--max-sessions", "64") as (address, pid):
        result = asyncio.run(_soak(options, address, pid))
    print(json.dumps(result))
    return 1 if result["failed"] else 0


async def _soak(options: Options, address: str, pid: int) -> dict[str, Any]:
    began = time.monotonic()
    done = failed = 0
    early: dict[str, int] | None = None
    async with httpx2.AsyncClient(base_url=address, timeout=30) as http:
        while done < options.cycles and time.monotonic() - began < options.limit_s:
            failed += not await _visit(http, polite=done % _RUDE_EVERY != 0)
            done += 1
            if done == max(1, options.cycles // 10):
                await asyncio.sleep(_IDLE_S + 1)
                early = _held(pid)
                print(f"after {done} cycles: {early}", flush=True)
        await asyncio.sleep(_IDLE_S + 1)  # for the last one that left without a word
        sessions = (await http.get("/v1/sessions")).json()
    return {
        "cycles": done,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
        "sessions_left": len(sessions),
        "early": early,
        "end": _held(pid),
    }


async def _visit(http: httpx2.AsyncClient, polite: bool) -> bool:
    """Watch until there is a picture; whether one came."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    video = connection.addTransceiver("video", direction="recvonly")
    session = ""
    try:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await http.post(
            "/v1/streams/demo/whep",
            content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        if answer.status_code != 201:
            return False
        session = answer.headers["location"]
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await asyncio.wait_for(video.receiver.track.recv(), _FIRST_PICTURE_S)
        return True
    except (TimeoutError, MediaStreamError):
        return False
    finally:
        if session and polite:
            await http.delete(session)
        await connection.close()


def _held(pid: int) -> dict[str, int]:
    """What the server and its workers hold."""
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
