"""Train a baseline to compare with: the generator alone, rendered for every frame.

    .venv/bin/python scripts/train_baseline.py --data data/default
    .venv/bin/python scripts/train_baseline.py --data data/default --frames 2 --run runs/baseline2
    .venv/bin/python scripts/evaluate.py models/avatars/default data/default \\
        --baseline runs/baseline/avatar

With `--frames 2` the generator gets the features of this frame and of an older one at once. Options
and what a run leaves are those of `scripts/train.py`. The avatar of a one-frame baseline can be
rendered in full like any other; its warp was never trained.
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
from models.training.run import SessionArguments, run_session
from models.training.trainer import TrainConfig


def _settings() -> TrainConfig:
    return TrainConfig(pairs=PairSettings(min_age=1, max_age=2))


@dataclass(frozen=True)
class Arguments(SessionArguments):
    """Train a baseline."""

    run: Path = Path("runs/baseline")
    """Where the run leaves checkpoints, logs and the avatar."""
    id: str = "baseline"
    """The avatar's id."""
    name: str = "Baseline"
    """The avatar's name, for people."""
    frames: FrameCount = 1
    """Whose features the generator gets: this frame's, or an older one's too."""
    train: TrainConfig = field(default_factory=_settings)


def main(arguments: Arguments) -> None:
    """Run to the end, or until interrupted."""

    def networks(config: TrainConfig) -> Networks:
        build = build_networks if arguments.frames == 1 else build_two_frame_networks
        return build(config.network)

    (arguments.run / "avatar").mkdir(parents=True, exist_ok=True)
    mark_baseline(arguments.run / "avatar", arguments.frames)
    run_session(
        arguments,
        networks,
        lambda networks, config, vgg16: BaselineObjective(
            networks, config.loss, config.mixed_precision, vgg16
        ),
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
