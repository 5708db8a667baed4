"""Decodes a video into upright RGB frames with their times.

The only module of `models/` that imports a codec library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.error import FFmpegError

from models.capture.errors import VideoError
from models.contract.images import RgbImage

LONGEST_SIDE_PX = 1280
"""Larger videos are decoded at this length of their longer side: more than a face needs here."""
_UNEVEN = 0.25
"""Frames whose distance differs by more than this share from the usual one are irregular."""
_IRREGULAR_SHARE = 0.02
"""Share of irregular frames from which on the frame rate is called variable."""


class VideoFrame(NamedTuple):
    """One decoded frame."""

    number: int
    """Position in the file, from 0."""
    time_s: float
    """Presentation time since the first frame."""
    rgb: RgbImage
    """Upright."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts of a video, from decoding all of its times."""

    width: int
    """Columns of the upright frames, as they are decoded."""
    height: int
    rotation_deg: int
    """Clockwise turn that the file asks players for: 0, 90, 180 or 270."""
    times_s: tuple[float, ...]
    """Presentation time of each frame since the first."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.times_s)

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.fps if self.frames > 1 else 0.0

    @property
    def fps(self) -> float:
        """Frames per second: the inverse of the median distance of frames."""
        return float(1 / np.median(np.diff(self.times_s)))

    @property
    def variable_rate(self) -> bool:
        """Whether many frames are not at the usual distance from the one before."""
        steps = np.diff(self.times_s) * self.fps
        return bool((np.abs(steps - 1) > _UNEVEN).mean() > _IRREGULAR_SHARE)


def read_info(path: Path) -> VideoInfo:
    """Decode a video once, without converting its frames.

    Raises:
        VideoError: If the file cannot be read or holds fewer than two frames.
    """
    times, first = [], None
    # Decoded and not only demultiplexed: packets are not in the order of their times where there
    # are B-frames, and broken ones give no frame.
    for frame in _decode(path):
        first = first or frame
        times.append(float(frame.time or 0.0))
    if first is None or len(times) < 2:
        raise VideoError(f"{path.name}: expected a video, got {len(times)} frames")
    turn = _turn_deg(first)
    width, height = _scaled(first.width, first.height)
    if turn % 180:
        width, height = height, width
    return VideoInfo(width, height, turn, tuple(float(t - times[0]) for t in times))


def read_frames(path: Path, first: int = 0, step: int = 1) -> Iterator[VideoFrame]:
    """Yield every `step`-th frame from frame `first` on, upright.

    Raises:
        VideoError: If the file cannot be read.
    """
    start = None
    for number, frame in enumerate(_decode(path)):
        start = float(frame.time or 0.0) if start is None else start
        if number < first or (number - first) % step:
            continue
        width, height = _scaled(frame.width, frame.height)
        rgb = frame.to_ndarray(format="rgb24", width=width, height=height)
        # Scaled before it is turned, by FFmpeg together with the conversion of colours.
        upright = np.rot90(rgb, -_turn_deg(frame) // 90)
        yield VideoFrame(number, float(frame.time or 0.0) - start, np.ascontiguousarray(upright))


def video_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path.name}: expected a video, got a file without one")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield from container.decode(stream)
    except (FFmpegError, OSError) as exc:
        raise VideoError(f"{path.name} cannot be read as a video: {exc}") from exc


def _turn_deg(frame: av.VideoFrame) -> int:
    """Return the clockwise turn that makes a frame upright; FFmpeg counts the other way."""
    return -round(frame.rotation / 90) * 90 % 360


def _scaled(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE_PX / max(width, height))
    return round(width * scale / 2) * 2, round(height * scale / 2) * 2
