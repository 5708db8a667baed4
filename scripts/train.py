"""Train an avatar's neural texture, generator and warp network.

    .venv/bin/python scripts/train.py --data data/default
    .venv/bin/python scripts/train.py --data data/default --run runs/paper \\
        --train.network.variant paper
    .venv/bin/python scripts/train.py --data AUTHORS_DATA --format authors --head flame.npz \\
        --train.network.variant paper --train.network.network-size 2
    .venv/bin/python scripts/train.py --data data/default --run runs/warp \\
        --init runs/default/avatar --stage warp
    .venv/bin/torchrun --nproc-per-node 4 -- scripts/train.py \\
        --data data/default --train.device cuda

`--data` is a folder written by `scripts/make_dataset.py` and `--head` the head that it shows; or a
dataset of the paper's authors and a FLAME head made by `scripts/import_head.py`. The same `--run`
resumes an interrupted run. `scripts/serve.sh --avatars RUN` serves the best avatar so far, which is
in `RUN/avatar`; `tensorboard --logdir RUN` shows the progress.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from models.contract.avatar_info import Subject
from models.networks.avatar_networks import build_networks
from models.training.objective import PairObjective, WarpObjective
from models.training.run import RunArguments, run_training
from models.training.trainer import Progress


@dataclass(frozen=True)
class Arguments(RunArguments):
    """Train an avatar."""

    run: Path = Path("runs/default")
    """Folder for checkpoints, logs and the avatar."""
    stage: Literal["all", "warp"] = "all"
    """Networks to train: all, or the warp alone with the full render of `--init` frozen, which has
    faster steps and minimizes the loss of the warp only."""


def main(
    arguments: Arguments,
    subject: Subject | None = None,
    report: Callable[[Progress], None] | None = None,
) -> None:
    """Train to the end, or until interrupted.

    Args:
        arguments: Arguments of the script.
        subject: The real person whom the dataset shows.
        report: Called after each step, in place of a progress bar.
    """
    objective = PairObjective if arguments.stage == "all" else WarpObjective
    if arguments.stage == "warp" and arguments.init is None:
        sys.exit("train: --stage warp needs --init, the avatar whose warp to train")
    run_training(
        arguments,
        lambda config: build_networks(config.network),
        lambda networks, config, vgg16: objective(
            networks, config.loss, config.mixed_precision, vgg16
        ),
        subject,
        report,
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
