"""Train a baseline: the generator alone, which renders every frame in full.

    .venv/bin/python scripts/train_baseline.py --data data/default
    .venv/bin/python scripts/train_baseline.py --data data/default --frames 2 --run runs/baseline2
    .venv/bin/python scripts/evaluate.py models/avatars/default data/default \\
        --baseline runs/baseline/avatar

With `--frames 2` the inputs of the generator are the features of the current and an older frame.
Options and files are those of `scripts/train.py`. The avatar of a one-frame baseline renders in
full like any other; its warp is not trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from models.data.pairs import PairSettings
from models.evaluation.baseline import (
    BaselineObjective,
    FrameCount,
    build_two_frame_networks,
    mark_baseline,
)
from models.networks.avatar_networks import Networks, build_networks
from models.training.run import RunArguments, run_training
from models.training.trainer import TrainConfig


def _settings() -> TrainConfig:
    return TrainConfig(pairs=PairSettings(min_age=1, max_age=2))


@dataclass(frozen=True)
class Arguments(RunArguments):
    """Train a baseline."""

    run: Path = Path("runs/baseline")
    """Folder for checkpoints, logs and the avatar."""
    id: str = "baseline"
    """Id of the avatar."""
    name: str = "Baseline"
    """Display name of the avatar."""
    frames: FrameCount = 1
    """Number of frames whose features are inputs of the generator."""
    train: TrainConfig = field(default_factory=_settings)


def main(arguments: Arguments) -> None:
    """Train to the end, or until interrupted."""

    def networks(config: TrainConfig) -> Networks:
        build = build_networks if arguments.frames == 1 else build_two_frame_networks
        return build(config.network)

    (arguments.run / "avatar").mkdir(parents=True, exist_ok=True)
    mark_baseline(arguments.run / "avatar", arguments.frames)
    run_training(
        arguments,
        networks,
        lambda networks, config, vgg16: BaselineObjective(
            networks, config.loss, config.mixed_precision, vgg16
        ),
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
