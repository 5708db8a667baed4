"""Recordings that a server made of a stream (`POST /v1/streams/{id}/recordings`), for scripts."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from server.protocol.states import MeshState, frame_state
from server.recordings.file_format import RecordedMesh, read_meshes


def timed_frames(
    path: Path, avatar: AvatarInfo, start_s: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the time of each frame, in seconds after the first, and the frame without its `seq`.

    Args:
        path: The recording.
        avatar: Avatar of the stream that gets the frames.
        start_s: Start position in the recording.

    Raises:
        BadMessageError: As `read_meshes`.
    """
    for due_s, mesh in _from(path, avatar, start_s):
        yield due_s, _message(mesh)


def states_at_rate(
    path: Path, avatar: AvatarInfo, fps: float, start_s: float, seconds: float | None
) -> list[FrameState]:
    """Return the states of a video of the recording, from the avatar's default view.

    Each frame of the video shows the newest mesh frame that the server had at its time.

    Args:
        path: The recording.
        avatar: Avatar that shows it.
        fps: Frames of the video per second.
        start_s: Start position in the recording.
        seconds: Duration; None for all.

    Raises:
        BadMessageError: As `read_meshes`.
    """
    meshes = list(_from(path, avatar, start_s))
    if not meshes:
        return []
    times_s = [due_s for due_s, _ in meshes]
    length_s = times_s[-1] if seconds is None else min(seconds, times_s[-1])
    frames = int(length_s * fps + 1e-6) + 1
    if seconds is not None:
        frames = min(frames, round(seconds * fps))
    # Times are rounded to microseconds: a mesh frame that is due at that time is shown.
    at = [bisect_right(times_s, index / fps + 1e-6) - 1 for index in range(frames)]
    return [frame_state(avatar, meshes[index][1], None) for index in at]


def _from(path: Path, avatar: AvatarInfo, start_s: float) -> Iterator[tuple[float, MeshState]]:
    """Yield the mesh frames after a start position; the first is due at 0."""
    began_ms: float | None = None
    first: RecordedMesh | None = None
    for frame in read_meshes(path, avatar):
        began_ms = frame.at_ms if began_ms is None else began_ms
        if frame.at_ms - began_ms < 1e3 * start_s:
            continue
        first = first or frame
        yield (frame.at_ms - first.at_ms) / 1e3, frame.mesh


def _message(mesh: MeshState) -> dict[str, Any]:
    message: dict[str, Any] = {
        "head": {
            "rotation": mesh.head_rotation.tolist(),
            "translation": mesh.head_translation.tolist(),
        }
    }
    if mesh.captured_at_ms is not None:
        message["captured_at_ms"] = mesh.captured_at_ms
    if mesh.vertices is None:
        message["expression"] = mesh.expression.tolist()
    else:
        message["vertices"] = base64.b64encode(mesh.vertices.astype("<f4").tobytes()).decode()
    return message
