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

`--data` is a folder written by `scripts/make_dataset.py`, `--head` the head it was drawn with; or a
folder of the paper's authors, and a FLAME head made by `scripts/import_head.py`. An
interrupted run goes on when started again with the same `--run`. The best avatar so far lies in
`RUN/avatar`, ready to serve: `scripts/serve.sh --avatars RUN`. Watch: `tensorboard --logdir RUN`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from models.networks.avatar_networks import build_networks
from models.training.objective import PairObjective, WarpObjective
from models.training.run import SessionArguments, run_session


@dataclass(frozen=True)
class Arguments(SessionArguments):
    """Train an avatar."""

    run: Path = Path("runs/default")
    """Where the run leaves checkpoints, logs and the avatar."""
    stage: Literal["all", "warp"] = "all"
    """What learns: everything, or the warp alone on the full render of `--init`, which stays as it
    is. A step of the warp alone is cheaper, and nothing pulls it away from the warp."""


def main(arguments: Arguments) -> None:
    """Run to the end, or until interrupted."""
    objective = PairObjective if arguments.stage == "all" else WarpObjective
    if arguments.stage == "warp" and arguments.init is None:
        sys.exit("train: --stage warp needs --init, the avatar whose warp is to be trained")
    run_session(
        arguments,
        lambda config: build_networks(config.network),
        lambda networks, config, vgg16: objective(
            networks, config.loss, config.mixed_precision, vgg16
        ),
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
