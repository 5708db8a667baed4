"""Render a recording to an mp4 file with the server's render pool.

    .venv/bin/python scripts/render_video.py RECORDING.csv out.mp4
    .venv/bin/python scripts/render_video.py RECORDING.csv out.mp4 --side-by-side --age 8

Each frame is a warp of a cache that is `--age` frames old, as viewers see it. `--side-by-side` adds
the full render of the same frame to its left. The recording is a CSV file of Live Link Face, or one
that a server made of a stream: that is shown from the avatar's default view, at its own timing.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from math import pi, sin
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import tyro
from av.video.stream import VideoStream
from numpy.typing import NDArray
from tqdm import tqdm

from models.avatar.folder import SHIPPED
from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.data.motion import RecordingError, read_recording
from models.geometry.camera import (
    look_at,
    quaternion_to_matrix,
    rotation_vector_to_quaternion,
)
from scripts.recorded_stream import states_at_rate
from server.errors import TelewarpError
from server.pool.engine import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.recordings.file_format import is_recording

NECK = np.array([0.0, -0.145, -0.118])
"""Point that the head rotates about, metres."""


@dataclass(frozen=True)
class Arguments:
    """Render a recording to a video."""

    recording: Annotated[Path, tyro.conf.Positional]
    """Live Link Face CSV, or a recording that a server made of a stream."""
    out: Annotated[Path, tyro.conf.Positional]
    """mp4 file to write."""
    avatar: str = "default"
    """Id of the avatar."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    side_by_side: bool = False
    """Full render to the left, warp to the right."""
    age: int = 4
    """Age of the cache in frames."""
    fps: int = 30
    """Rows of the recording per second."""
    seconds: float | None = None
    """Duration to render; default: to the end."""
    start_s: float = 0.0
    """Start position in the recording."""
    sway: bool = True
    """Move head and view slowly: Live Link Face recordings may contain no head motion."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""


def main(arguments: Arguments) -> int:
    """Render. Returns the exit code."""
    try:
        asyncio.run(_render(arguments))
    except (RecordingError, TelewarpError, ValueError, OSError) as error:
        print(f"render_video: {error}", file=sys.stderr)
        return 1
    print(f"wrote {arguments.out}")
    return 0


async def _render(arguments: Arguments) -> None:
    pool = RenderPool(
        PoolSettings(devices=arguments.device, niceness=0), ModelEngineFactory(arguments.avatars)
    )
    await pool.start()
    try:
        await pool.wait_ready(120)
        if arguments.avatar not in pool.avatars:
            known = ", ".join(pool.avatars)
            raise ValueError(f"avatar must be one of {known}, got {arguments.avatar!r}")
        info = pool.avatars[arguments.avatar]
        states = _states(arguments, info)
        with av.open(str(arguments.out), "w") as container:
            stream = _video_stream(container, arguments, info.resolution)
            images = _render_frames(pool, arguments, states)
            with tqdm(total=len(states), unit="frame") as bar:
                async for image in images:
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    container.mux(stream.encode(frame))
                    bar.update()
            container.mux(stream.encode())
    finally:
        await pool.close()


def _states(arguments: Arguments, info: AvatarInfo) -> list[FrameState]:
    """Return the states of all frames."""
    if is_recording(arguments.recording):
        return _recorded_states(arguments, info)
    rows = read_recording(arguments.recording, info.expression_names)
    first = round(arguments.start_s * arguments.fps)
    count = None if arguments.seconds is None else round(arguments.seconds * arguments.fps)
    rows = rows[first:][:count]
    if len(rows) == 0:
        raise ValueError(
            f"{arguments.recording}: expected rows after {arguments.start_s} s, got none"
        )
    sway = 1.0 if arguments.sway else 0.0
    return [
        _state(info, expression, index / arguments.fps, sway)
        for index, expression in enumerate(rows)
    ]


def _recorded_states(arguments: Arguments, info: AvatarInfo) -> list[FrameState]:
    """Return the states of all frames of a server's recording."""
    found = states_at_rate(
        arguments.recording, info, arguments.fps, arguments.start_s, arguments.seconds
    )
    if not found:
        raise ValueError(
            f"{arguments.recording}: expected frames after {arguments.start_s} s, got none"
        )
    return found


def _state(
    info: AvatarInfo, expression: NDArray[np.float32], at_s: float, sway: float
) -> FrameState:
    turn = np.array([0.06 * sin(2 * pi * at_s / 5.3), 0.22 * sin(2 * pi * at_s / 7.1), 0]) * sway
    rotation = rotation_vector_to_quaternion(turn)
    side = 0.35 * sin(2 * pi * at_s / 11) * sway
    home = np.array(info.eye_position)
    eye = np.array([home[2] * sin(side), home[1], home[2] * np.cos(side)])
    return FrameState(
        head_rotation=rotation,
        head_translation=(NECK - quaternion_to_matrix(rotation) @ NECK).astype(np.float32),
        expression=expression,
        vertices=None,
        eye_rotation=look_at(eye, np.array([0, home[1], 0])),
        eye_position=eye.astype(np.float32),
        fov_y_rad=info.fov_y_rad,
    )


async def _render_frames(
    pool: RenderPool, arguments: Arguments, states: list[FrameState]
) -> AsyncIterator[RgbImage]:
    """Yield rendered frames in order; keeps one more in flight than there are workers."""
    ahead = len(pool.status().workers) + 1
    waiting: deque[asyncio.Task[RgbImage]] = deque()
    for index, state in enumerate(states):
        cached = states[max(0, index - arguments.age)]
        waiting.append(asyncio.create_task(_render_frame(pool, arguments, state, cached)))
        if len(waiting) > ahead:
            yield await waiting.popleft()
    while waiting:
        yield await waiting.popleft()


async def _render_frame(
    pool: RenderPool, arguments: Arguments, state: FrameState, cached: FrameState
) -> RgbImage:
    warp = await pool.render(arguments.avatar, state, "warp", cached)
    if not arguments.side_by_side:
        return warp
    full = await pool.render(arguments.avatar, state, "full", None)
    return np.concatenate([full, warp], axis=1)


def _video_stream(
    container: av.container.OutputContainer, arguments: Arguments, size: int
) -> VideoStream:
    stream = container.add_stream("libx264", rate=Fraction(arguments.fps))
    stream.width = size * 2 if arguments.side_by_side else size
    stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": "16", "preset": "medium"}
    return stream


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
