"""Replay a recording of a face in real time into a running server's REST endpoint.

    .venv/bin/python scripts/publish.py RECORDING.csv --stream ROM       # of Live Link Face
    .venv/bin/python scripts/publish.py RECORDING.ndjson --stream ROM    # of a server

Creates the stream if it does not exist, and posts one mesh frame per row as a streamed NDJSON body,
at the times of the recording. Reads Live Link Face's CSV and any other table whose header names
coefficients, JSON of MediaPipe, Audio2Face, BEAT, Rokoko and VTube Studio, and other JSON with
ARKit's names (`models/data/recordings.py`); prints what of a file it does not use. Open
http://127.0.0.1:8000/?stream=ROM in a browser to watch it. The environment variable TELEWARP_TOKEN
holds the token for a server with authentication.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import numpy as np
import tyro
from pydantic import TypeAdapter
from tqdm import tqdm

from models.contract.avatar_info import AvatarInfo
from models.data.recordings import Recording, RecordingError, load_recording
from scripts.recorded_stream import timed_frames
from server.errors import TelewarpError
from server.recordings.file_format import is_recording


@dataclass(frozen=True)
class Arguments:
    """Replay a recording into a stream."""

    recording: Annotated[Path, tyro.conf.Positional]
    """Live Link Face CSV, another table of coefficients, JSON, or a server's recording."""
    stream: str
    """Id of the stream; created if it does not exist."""
    url: str = "http://127.0.0.1:8000"
    """URL of the server."""
    avatar: str = "default"
    """Avatar of a new stream."""
    fps: float | None = None
    """Rows per second; default: the times in the recording, 30 where it has none. Recordings of a
    server always have times of their own."""
    start_s: float = 0.0
    """Start position in the recording."""
    loop: bool = False
    """Repeat the recording until interrupted."""


def main(arguments: Arguments) -> int:
    """Replay to the end, or until interrupted. Returns the exit code."""
    timeout = httpx2.Timeout(30, read=None)  # the response arrives after the last frame
    try:
        token = os.environ.get("TELEWARP_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx2.Client(base_url=arguments.url, timeout=timeout, headers=headers) as client:
            last_seq = _find_or_create_stream(client, arguments)
            frames = _frames(client, arguments, last_seq + 1)
            page = f"{arguments.url}/?stream={arguments.stream}"
            print(f"publishing {arguments.recording.name}; watch it at {page}")
            response = client.post(
                f"/v1/streams/{arguments.stream}/frames",
                content=frames,
                headers={"Content-Type": "application/x-ndjson"},
            )
            print(_describe(response))
            return 0 if response.is_success else 1
    except (RecordingError, TelewarpError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
    except httpx2.ConnectError:
        print(f"publish: no server responds at {arguments.url}", file=sys.stderr)
    except httpx2.HTTPError as error:
        print(f"publish: the server closed the connection: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\npublish: interrupted")
        return 130
    return 1


def _find_or_create_stream(client: httpx2.Client, arguments: Arguments) -> int:
    """Return the last `seq` that the stream has received, -1 for none."""
    response = client.get(f"/v1/streams/{arguments.stream}")
    if response.status_code == 404:
        wanted = {"id": arguments.stream, "avatar": arguments.avatar}
        response = client.post("/v1/streams", json=wanted)
    if not response.is_success:
        raise RecordingError(_describe(response))
    last_seq = response.json()["last_seq"]
    return -1 if last_seq is None else int(last_seq)


def _frames(client: httpx2.Client, arguments: Arguments, first_seq: int) -> Iterator[bytes]:
    """Yield one NDJSON line per row, each when it is due."""
    if is_recording(arguments.recording):
        yield from _recorded_frames(client, arguments, first_seq)
        return
    names = client.get(f"/v1/avatars/{arguments.avatar}").json()["expression_names"]
    recording = load_recording(arguments.recording, names, arguments.fps)
    for note in recording.notes:
        print(f"publish: {arguments.recording.name}: {note}", file=sys.stderr)
    first = int(np.searchsorted(recording.times_s, arguments.start_s))
    rows = range(first, len(recording.times_s))
    if not rows:
        raise RecordingError(
            f"{arguments.recording}: expected rows after {arguments.start_s:g} s, got none"
        )
    started, loop_s, seq = time.monotonic(), 0.0, first_seq
    while True:
        for row in tqdm(rows, unit="frame"):
            due_s = loop_s + float(recording.times_s[row] - recording.times_s[first])
            time.sleep(max(0.0, started + due_s - time.monotonic()))
            yield json.dumps(_frame(recording, row, seq, due_s)).encode() + b"\n"
            seq += 1
        if not arguments.loop:
            return
        # The first row follows the last one at the usual distance.
        loop_s = due_s + 1 / recording.fps


def _frame(recording: Recording, row: int, seq: int, due_s: float) -> dict[str, Any]:
    """Return a row as a mesh frame; without `head` if the recording has no pose."""
    coefficients = [round(float(value), 4) for value in recording.expression[row]]
    frame = {"seq": seq, "captured_at_ms": due_s * 1000, "expression": coefficients}
    if recording.rotations is not None:
        frame["head"] = {
            "rotation": [round(float(part), 6) for part in recording.rotations[row]],
            "translation": [round(float(part), 6) for part in recording.translation(row)],
        }
    return frame


def _recorded_frames(
    client: httpx2.Client, arguments: Arguments, first_seq: int
) -> Iterator[bytes]:
    """Yield the frames of a server's recording, each when it is due."""
    found = client.get(f"/v1/avatars/{arguments.avatar}").json()
    avatar = TypeAdapter(AvatarInfo).validate_python(found)
    seq = first_seq
    while True:
        started = time.monotonic()
        frames = timed_frames(arguments.recording, avatar, arguments.start_s)
        for due_s, frame in tqdm(frames, unit="frame"):
            time.sleep(max(0.0, started + due_s - time.monotonic()))
            yield json.dumps({"seq": seq, **frame}).encode() + b"\n"
            seq += 1
        if not arguments.loop:
            return


def _describe(response: httpx2.Response) -> str:
    if response.is_success:
        tally = response.json()
        return f"accepted {tally['accepted']} frames, dropped {tally['dropped']}"
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError):
        detail = response.text
    return f"the server responded {response.status_code}: {detail}"


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
