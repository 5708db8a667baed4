"""The frames of a video that an avatar is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.capture.video import VideoFrame, VideoInfo, read_frames, read_info

USUAL_FPS = 30.0
"""Videos of a higher rate are thinned out to about this one."""


@dataclass(frozen=True)
class Clip:
    """A video, thinned out to at most about 30 frames per second."""

    path: Path
    info: VideoInfo
    step: int
    """Every `step`-th frame of the file is used."""

    @property
    def count(self) -> int:
        """Number of frames."""
        return -(-self.info.frames // self.step)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.info.fps / self.step

    def frames(self, first: int = 0, step: int = 1) -> Iterator[VideoFrame]:
        """Yield every `step`-th frame from frame `first` on, numbered within the clip."""
        for frame in read_frames(self.path, first * self.step, step * self.step):
            yield frame._replace(number=frame.number // self.step)


def open_clip(path: Path) -> Clip:
    """Read the metadata of a video.

    Raises:
        VideoError: If the file cannot be read.
    """
    info = read_info(path)
    return Clip(path, info, max(1, round(info.fps / USUAL_FPS)))
