"""Runs the stages from a video to a dataset, each once: a stage whose result is there is skipped.

OUT/capture/stages.json     the video's hash; key and duration of each finished stage
OUT/capture/track.npz       landmarks and coefficients by MediaPipe
OUT/capture/person.npz      shape and camera
OUT/capture/poses.npz       pose and coefficients of each frame, and which can be used
OUT/capture/frames.npy      (N, S, S, 3) u8, what the virtual camera sees
OUT/capture/mattes.npy      (N, S, S) u8, how much of each pixel the person covers
OUT/capture/light.npz       background plate and gain of each frame
OUT/capture/sheets/         a contact sheet of each stage
OUT/head.npz                the head
OUT/data                    the dataset
OUT/init                    an avatar to start training from
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from models.capture.errors import VideoError
from models.capture.video import video_sha256

VERSION = 1
"""Incremented when results of older versions can no longer be used."""

Advance = Callable[[float, str], None]
"""Called with the finished share of a stage and a message."""


class Stage(NamedTuple):
    """One step."""

    name: str
    run: Callable[[Advance], None]
    settings: tuple[Any, ...]
    """Inputs of its result, beside the results of earlier stages."""
    outputs: tuple[Path, ...]
    """Files or folders that exist when it is finished."""


@dataclass
class _Finished:
    """Contents of stages.json."""

    video: str
    keys: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class StageRunner:
    """Runs stages in order and remembers which are finished.

    Args:
        folder: `OUT/capture`.
        video: The video.

    Raises:
        VideoError: If the folder belongs to another video.
    """

    def __init__(self, folder: Path, video: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "stages.json"
        digest = video_sha256(video)
        self._finished = _Finished(digest)
        if self._file.exists():
            self._finished = _Finished(**json.loads(self._file.read_text()))
        if self._finished.video != digest:
            raise VideoError(f"{folder} holds the results of another video; choose another --out")

    @property
    def video_sha256(self) -> str:
        """Hash of the video, hex."""
        return self._finished.video

    @property
    def seconds(self) -> dict[str, float]:
        """Duration of each finished stage."""
        return self._finished.seconds

    def run(self, stages: Sequence[Stage], report: Callable[[str, int, float, str], None]) -> None:
        """Run the unfinished stages.

        Args:
            stages: All stages, in order.
            report: Called with name and position of a stage, its finished share, and a message.
        """
        key = f"{VERSION} {self._finished.video}"
        for index, stage in enumerate(stages):
            key = sha256(f"{key} {stage.name} {stage.settings}".encode()).hexdigest()
            done = self._finished.keys.get(stage.name) == key
            if done and all(path.exists() for path in stage.outputs):
                report(stage.name, index, 1.0, "done before")
                continue
            self._run_one(stage, index, key, report)

    def _run_one(
        self,
        stage: Stage,
        index: int,
        key: str,
        report: Callable[[str, int, float, str], None],
    ) -> None:
        # Forgotten first: an interrupted stage is run again even if it had been finished before.
        self._finished.keys.pop(stage.name, None)
        self._write()
        report(stage.name, index, 0.0, "")
        started = time.monotonic()
        stage.run(lambda share, message: report(stage.name, index, share, message))
        self._finished.keys[stage.name] = key
        self._finished.seconds[stage.name] = round(time.monotonic() - started, 1)
        self._write()
        report(stage.name, index, 1.0, f"{self._finished.seconds[stage.name]:.0f} s")

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self._finished), indent=1) + "\n")
        part.replace(self._file)
