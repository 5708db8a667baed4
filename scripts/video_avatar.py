"""Make an avatar of the person in a video; `scripts/make_avatar.py --video` runs it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import torch
from tqdm import tqdm

from models.avatar.folder import SHIPPED
from models.capture.clip import Clip, open_clip
from models.capture.completion import complete_avatar
from models.capture.errors import VideoError, WeakVideoError
from models.capture.fitting import FittingStages
from models.capture.imaging import ImagingStages
from models.capture.stages import Advance, Stage, StageRunner
from models.capture.start import SEEN
from models.contract.avatar_info import Subject
from models.data.pairs import PairSettings
from models.geometry.head_file import load_head
from models.networks.avatar_networks import NetworkConfig
from models.training.trainer import Progress, TrainConfig
from scripts import contact_sheet, evaluate, install_tracker, train
from scripts.preview import Preview, serve_at

UNUSABLE = 2
"""Exit code of a video that cannot be used."""
PRIOR = SHIPPED / "default"
"""Avatar whose weights training starts from."""
LICENCE = "Only as the person shown agreed to; see subject.consent"
_HASH_DIGITS = 12
_EVALUATION_MINUTES = 5.0
"""Longest duration of the evaluation, which measures fewer frames on a busy machine."""


@dataclass(frozen=True)
class VideoArguments:
    """Options of the avatar, see `scripts/make_avatar.py`."""

    video: Path
    name: str
    consent: str
    out: Path
    hair: str
    anyway: bool
    size: int
    minutes: float
    least_steps: int
    measured_frames: int
    network_size: float
    device: str
    threads: int
    progress: Literal["bar", "json"]
    preview: int | None = None


def identifier(name: str) -> str:
    """Return the id of an avatar, and the name of its folder, for a display name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "avatar"


class JsonReport:
    """Writes progress as lines of JSON.

    Args:
        stream: Output stream.
        stages: Number of stages.
    """

    def __init__(self, stream: TextIO, stages: int) -> None:
        self._stream, self._stages = stream, stages
        self._last = ("", -1)

    def __call__(self, stage: str, index: int, fraction: float, message: str) -> None:
        """Write a line, at most one per stage and percent unless there is a message."""
        percent = (stage, int(fraction * 100))
        if message or percent != self._last:
            self._last = percent
            self.write(
                {
                    "stage": stage,
                    "index": index,
                    "stages": self._stages,
                    "fraction": round(fraction, 4),
                    "message": message,
                }
            )

    def write(self, line: dict[str, object]) -> None:
        """Write one line."""
        print(json.dumps(line), file=self._stream, flush=True)


class BarReport:
    """Shows progress as one bar per stage.

    Args:
        stages: Number of stages.
    """

    def __init__(self, stages: int) -> None:
        self._stages = stages
        self._bar: tqdm[None] | None = None
        self._stage = ""

    def __call__(self, stage: str, index: int, fraction: float, message: str) -> None:
        """Move the bar, and print a message above it."""
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(
                total=100, desc=f"{index + 1} of {self._stages}: {stage}", unit="%", ncols=80
            )
        assert self._bar is not None
        self._bar.n = round(fraction * 100)
        self._bar.refresh()
        if message:
            tqdm.write(f"    {message}", file=sys.stderr)

    def close(self) -> None:
        """End the last bar."""
        if self._bar is not None:
            self._bar.close()

    def write(self, line: dict[str, object]) -> None:
        """Print the result."""
        self.close()
        for value in line.values():
            print(value, file=sys.stderr if "error" in line else sys.stdout)


def make(arguments: VideoArguments) -> int:
    """Run all stages. Returns the exit code."""
    stages = 9
    report = JsonReport(sys.stdout, stages) if arguments.progress == "json" else BarReport(stages)
    try:
        # Output of the stages would mix with the lines of JSON.
        with redirect_stdout(sys.stderr):
            _run(arguments, report)
    except VideoError as error:
        report.write({"error": str(error)})
        if isinstance(error, WeakVideoError) and arguments.progress == "bar":
            print("--anyway goes on with this video.", file=sys.stderr)
        return UNUSABLE
    except (install_tracker.InstallError, OSError, ValueError) as error:
        report.write({"error": str(error)})
        return 1
    except SystemExit as ended:  # training was interrupted or cannot resume
        report.write({"error": str(ended)})
        return 1
    report.write({"avatar": str(arguments.out / "avatar")})
    if arguments.progress == "bar":
        print(f"to serve it: scripts/serve.sh --avatars {arguments.out}")
    return 0


def _run(arguments: VideoArguments, report: Callable[[str, int, float, str], None]) -> None:
    if not arguments.video.is_file():
        raise VideoError(f"expected a video, got no file {arguments.video}")
    install_tracker.install_capture()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    runner = StageRunner(arguments.out / "capture", arguments.video)
    runner.run(plan(arguments, open_clip(arguments.video), runner), report)
    (arguments.out / "capture" / "seconds.json").write_text(json.dumps(runner.seconds) + "\n")


def plan(arguments: VideoArguments, clip: Clip, runner: StageRunner) -> list[Stage]:
    """Return all stages."""
    out = arguments.out
    folder, models = out / "capture", install_tracker.FOLDER
    fitting = FittingStages(
        clip,
        folder,
        models / install_tracker.MODEL,
        arguments.anyway,
    )
    imaging = ImagingStages(
        clip, out, models / install_tracker.SEGMENTER, arguments.size, arguments.hair, PRIOR
    )
    trained = (arguments.minutes, arguments.network_size, arguments.name, arguments.consent)
    return [
        Stage("inspect", fitting.inspect, (arguments.anyway,), ()),
        Stage("track", fitting.track, (), (folder / "track.npz",)),
        Stage("identity", fitting.identity, (), (folder / "person.npz",)),
        Stage("pose", fitting.pose, (), (folder / "poses.npz",)),
        Stage(
            "matte",
            imaging.matte,
            (arguments.size,),
            tuple(folder / name for name in ("frames.npy", "mattes.npy", "light.npz")),
        ),
        Stage("head", imaging.head, (arguments.hair,), (out / "head.npz",)),
        Stage("dataset", imaging.dataset, (), (out / "data", out / "init" / SEEN)),
        Stage(
            "train",
            lambda advance: _train(arguments, _subject(arguments, runner), advance),
            trained,
            (out / "avatar",),
        ),
        Stage(
            "evaluate",
            lambda advance: _evaluate(arguments, advance),
            (arguments.measured_frames,),
            (out / "avatar" / "evaluation.json",),
        ),
    ]


def _subject(arguments: VideoArguments, runner: StageRunner) -> Subject:
    digits = runner.video_sha256[:_HASH_DIGITS]
    return Subject(
        name=arguments.name,
        consent=arguments.consent or "none was given",
        origin=f"{arguments.video.name} (sha256 {digits})",
        created=date.today().isoformat(),
    )


def _train(arguments: VideoArguments, subject: Subject, advance: Advance) -> None:
    with ExitStack() as stack:
        update = _preview(arguments, stack)

        def report(progress: Progress) -> None:
            minutes = progress.seconds_left / 60
            advance(progress.fraction, update())
            if progress.step % 50 == 0:
                advance(progress.fraction, f"step {progress.step}, {minutes:.0f} min left")

        _run_training(arguments, subject, report)
    seen = np.load(arguments.out / "init" / SEEN)
    complete_avatar(arguments.out / "avatar", load_head(arguments.out / "head.npz"), seen)


def _preview(arguments: VideoArguments, stack: ExitStack) -> Callable[[], str]:
    """Return a function that updates the preview and returns a message about the change."""
    if arguments.preview is None:
        return lambda: ""
    out, command = arguments.out, serve_at(arguments.preview)
    preview = Preview(out / "avatar", out / "preview", out / "preview.log", command)
    return stack.enter_context(preview).update


def _run_training(
    arguments: VideoArguments, subject: Subject, report: Callable[[Progress], None]
) -> None:
    train.main(
        train.Arguments(
            data=arguments.out / "data",
            run=arguments.out,
            head=arguments.out / "head.npz",
            id=identifier(arguments.name),
            name=arguments.name,
            licence=LICENCE,
            origin=f"A video of {arguments.name}; head shape from MakeHuman's base mesh (CC0)",
            init=arguments.out / "init",
            threads=arguments.threads,
            train=train_config(arguments),
        ),
        subject,
        report,
    )


def train_config(arguments: VideoArguments) -> TrainConfig:
    """Return the settings of training on a video."""
    return TrainConfig(
        network=NetworkConfig(network_size=arguments.network_size),
        # Older caches than viewers see: pairs in which the head turns fast are rare in a video.
        pairs=PairSettings(batch=4, max_age=16, crop=min(192, arguments.size // 32 * 32)),
        steps=1_000_000,  # more than any machine makes: `minutes` ends the run
        minutes=arguments.minutes,
        least_steps=arguments.least_steps,
        average_decay=0.995,  # a run has hundreds of steps, not thousands
        validate_every=150,
        validation_frames=9,  # on a CPU one takes a quarter of a step
        # Writing takes a second; training between two saves takes a minute, or five on a busy
        # machine.
        checkpoint_every=25,
        device=arguments.device,
    )


def _evaluate(arguments: VideoArguments, advance: Advance) -> None:
    avatar = arguments.out / "avatar"
    failed = evaluate.main(
        evaluate.Arguments(
            avatar=avatar,
            dataset=arguments.out / "data",
            frames=arguments.measured_frames,
            minutes=_EVALUATION_MINUTES,
            swap_periods=(),  # long sequences take many minutes
            device=arguments.device,
            contact_sheet=arguments.out / "capture" / "sheets" / "evaluate.png",
        ),
        lambda share: advance(0.9 * share, ""),
    )
    if failed:
        raise ValueError("the avatar could not be measured; see above")
    sheet = arguments.out / "capture" / "sheets" / "views.png"
    contact_sheet.main(contact_sheet.Arguments(avatar, sheet, arguments.device))
