"""Render a recording of a face to an mp4 file with the server's render pool.

    .venv/bin/python scripts/render_video.py RECORDING.csv out.mp4
    .venv/bin/python scripts/render_video.py RECORDING.csv out.mp4 --side-by-side --age 8

Each frame is a warp of a cache that is `--age` frames old, as viewers see it. `--side-by-side` adds
the full render of the same frame to its left. The video has the frame rate of the recording; while
it has no rows, the face stands still. `scripts/publish.py` lists the formats. A recording that a
server made of a stream is shown from the avatar's default view, at 30 frames per second or `--fps`,
with the voice that it contains.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor, pi, sin
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import tyro
from av.packet import Packet
from av.video.stream import VideoStream
from tqdm import tqdm

from models.avatar.folder import SHIPPED
from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FloatArray, FrameState
from models.contract.images import RgbImage
from models.data.recordings import NECK_M, Recording, RecordingError, load_recording
from models.geometry.camera import (
    look_at,
    quaternion_to_matrix,
    rotation_vector_to_quaternion,
)
from scripts.recorded_stream import states_at_rate
from scripts.recorded_voice import Samples, voice_samples
from server.errors import TelewarpError
from server.pool.engine_factory import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.recordings.file_format import is_recording
from server.streams.voice import CLOCK_RATE

MAX_FRAMES = 120 * 3600
"""Maximum number of frames: an hour at the highest rate, because a wrong time in a recording would
render for days."""
RECORDED_FPS = 30.0
"""Frame rate of a video of a server's recording, whose frames have times of their own."""
_AAC_SAMPLES = 1024
"""Samples of a frame of AAC."""
MAX_FPS = 120
"""Highest frame rate: rows at a higher rate are merged, because players do not show more."""


@dataclass(frozen=True)
class Arguments:
    """Render a recording to a video."""

    recording: Annotated[Path, tyro.conf.Positional]
    """Live Link Face CSV, another table of coefficients, JSON, or a server's recording."""
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
    fps: float | None = None
    """Rows of the recording per second; default: its own times, 30 where it has none."""
    seconds: float | None = None
    """Duration to render; default: to the end."""
    start_s: float = 0.0
    """Start position in the recording."""
    sway: bool = True
    """Move the view slowly, and the head too where the recording contains no head motion."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""


def main(arguments: Arguments) -> int:
    """Render. Returns the exit code."""
    try:
        _require(arguments.recording)
        asyncio.run(_render(arguments))
    except (RecordingError, TelewarpError, ValueError, OSError) as error:
        print(f"render_video: {error}", file=sys.stderr)
        return 1
    print(f"wrote {arguments.out}")
    return 0


def _require(recording: Path) -> None:
    """Raise `RecordingError` if a recording cannot be opened, before a pool is started for it."""
    try:
        recording.open("rb").close()
    except OSError as error:
        raise RecordingError(f"{recording} is not a readable recording: {error.strerror}") from None


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
        states, rate = _load(arguments, info)
        with av.open(str(arguments.out), "w") as container:
            stream = _video_stream(container, arguments, info.resolution, rate)
            sound = _sound(container, arguments, float(len(states) / rate))
            images = _render_frames(pool, arguments, states)
            with tqdm(total=len(states), unit="frame") as bar:
                async for image in images:
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    container.mux(stream.encode(frame))
                    _mux_sound(container, sound, bar.n / rate)
                    bar.update()
            container.mux(stream.encode())
            _mux_sound(container, sound, len(states) / rate)
    finally:
        await pool.close()


def _sound(
    container: av.container.OutputContainer, arguments: Arguments, seconds: float
) -> deque[Packet[Any]]:
    """Add a track with the voice of a server's recording, if there is one; returns its packets."""
    voice = None
    if is_recording(arguments.recording):
        voice = voice_samples(arguments.recording, arguments.start_s, seconds)
    if voice is None:
        return deque()
    # AAC, because not every player of mp4 files supports Opus.
    stream = container.add_stream("aac", rate=CLOCK_RATE, layout="stereo")
    frames = (_audio_frame(voice, at) for at in range(0, voice.shape[1], _AAC_SAMPLES))
    return deque(packet for frame in (*frames, None) for packet in stream.encode(frame))


def _audio_frame(voice: Samples, begin: int) -> av.AudioFrame:
    part = np.ascontiguousarray(voice[:, begin : begin + _AAC_SAMPLES])
    frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = CLOCK_RATE, begin
    return frame


def _mux_sound(
    container: av.container.OutputContainer, sound: deque[Packet[Any]], until_s: Fraction
) -> None:
    """Write the sound up to a time, interleaved with the images for players."""
    while sound and (sound[0].pts or 0) <= until_s * CLOCK_RATE:
        container.mux(sound.popleft())


def _load(arguments: Arguments, info: AvatarInfo) -> tuple[list[FrameState], Fraction]:
    """Return the states of all frames and the frame rate of the video."""
    if is_recording(arguments.recording):
        rate = Fraction(arguments.fps or RECORDED_FPS).limit_denominator(1001)
        return _recorded_states(arguments, info, rate), rate
    recording = load_recording(arguments.recording, info.expression_names, arguments.fps)
    for note in recording.notes:
        print(f"render_video: {arguments.recording.name}: {note}", file=sys.stderr)
    wanted = min(max(recording.fps, 1.0), MAX_FPS)
    # Times of rows are rounded in most files: a rate near a whole number is that number.
    whole = round(wanted)
    fraction = Fraction(whole if abs(wanted - whole) < 0.02 else wanted).limit_denominator(1001)
    return _states(arguments, info, recording, fraction), fraction


def _states(
    arguments: Arguments, info: AvatarInfo, recording: Recording, rate: Fraction
) -> list[FrameState]:
    """Return the states of all frames: of each the newest row at its time."""
    end_s = float(recording.times_s[-1]) - arguments.start_s
    count = floor(end_s * rate + 0.5) + 1
    if arguments.seconds is not None:
        count = min(count, round(arguments.seconds * rate))
    if end_s < 0 or count <= 0:
        raise ValueError(
            f"{arguments.recording}: expected rows after {arguments.start_s} s, got none"
        )
    if count > MAX_FRAMES:
        raise ValueError(
            f"{arguments.recording}: expected at most {MAX_FRAMES} frames, got {count}"
        )
    sway = 1.0 if arguments.sway else 0.0
    at_s = np.arange(count) / float(rate)
    # Half a frame of tolerance: rounded times lie on both sides of the video's.
    newest = recording.times_s - 0.5 / float(rate)
    rows = np.searchsorted(newest, at_s + arguments.start_s, side="right") - 1
    return [
        _state(info, recording, int(row), float(now), sway)
        for row, now in zip(rows, at_s, strict=True)
    ]


def _recorded_states(arguments: Arguments, info: AvatarInfo, rate: Fraction) -> list[FrameState]:
    """Return the states of all frames of a server's recording."""
    found = states_at_rate(
        arguments.recording, info, float(rate), arguments.start_s, arguments.seconds
    )
    if not found:
        raise ValueError(
            f"{arguments.recording}: expected frames after {arguments.start_s} s, got none"
        )
    return found


def _state(
    info: AvatarInfo, recording: Recording, row: int, at_s: float, sway: float
) -> FrameState:
    side = 0.35 * sin(2 * pi * at_s / 11) * sway
    home = np.array(info.eye_position)
    eye = np.array([home[2] * sin(side), home[1], home[2] * np.cos(side)])
    rotation = _head_rotation(recording, row, at_s, sway)
    # Rotated about the neck: the origin of the head's coordinates lies between the eyes.
    moved = NECK_M - quaternion_to_matrix(rotation) @ NECK_M
    if recording.translations is not None:
        moved = recording.translation(row)
    return FrameState(
        head_rotation=rotation,
        head_translation=moved.astype(np.float32),
        expression=recording.expression[row],
        vertices=None,
        eye_rotation=look_at(eye, np.array([0, home[1], 0])),
        eye_position=eye.astype(np.float32),
        fov_y_rad=info.fov_y_rad,
    )


def _head_rotation(recording: Recording, row: int, at_s: float, sway: float) -> FloatArray:
    """Return the recorded rotation (4,) of the head; a slow sway where there is none."""
    if recording.rotations is not None:
        recorded: FloatArray = recording.rotations[row]
        return recorded
    # Radians and seconds. The periods have no common multiple below six minutes, so that the motion
    # does not look repeated.
    turn = np.array([0.06 * sin(2 * pi * at_s / 5.3), 0.22 * sin(2 * pi * at_s / 7.1), 0]) * sway
    return rotation_vector_to_quaternion(turn)


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
    container: av.container.OutputContainer, arguments: Arguments, size: int, rate: Fraction
) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate)
    stream.width = size * 2 if arguments.side_by_side else size
    stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": "16", "preset": "medium"}
    return stream


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
