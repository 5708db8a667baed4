"""Two training processes, started by torchrun as `scripts/train.py` documents, against one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.data.pairs import PairSettings
from models.data.processes import ALONE
from models.geometry.head import Head
from models.networks.avatar_networks import NetworkConfig, build_networks
from models.training.objective import PairObjective
from models.training.run import RunArguments, build_trainer
from models.training.trainer import TrainConfig
from tests.models.studio.ball import write_ball

ROOT = Path(__file__).parents[3]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--")
CONFIG = TrainConfig(
    network=NetworkConfig(network_size=0.0625, texture_size=64, expressions=4),
    pairs=PairSettings(batch=4, crop=64),
    steps=1,
    mixed_precision=False,
    validation_frames=3,
)
OPTIONS = """
    --data data --head head.npz --run two --threads 1 --train.network.network-size 0.0625
    --train.network.texture-size 64 --train.network.expressions 4 --train.pairs.batch 4
    --train.pairs.crop 64 --train.steps 1 --train.no-mixed-precision --train.validation-frames 3
"""


def moments(run: Path) -> list[Tensor]:
    """Return Adam's first moments after the only step."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    return [state["exp_avg"] for state in saved["optimizer"]["state"].values()]


@pytest.mark.slow
def test_two_processes_take_the_same_step_as_one(ball: Head, tmp_path: Path) -> None:
    """Mean gradients of two half batches equal the gradients of the whole batch."""
    write_ball(ball, tmp_path)
    arguments = RunArguments(
        tmp_path / "data", tmp_path / "one", tmp_path / "head.npz", train=CONFIG
    )
    build_trainer(
        arguments,
        lambda config: build_networks(config.network),
        lambda networks, config, vgg16: PairObjective(networks, config.loss, False, vgg16),
        ALONE,
    ).run(lambda progress: None)
    done = subprocess.run(
        [sys.executable, *TORCHRUN, ROOT / "scripts" / "train.py", *OPTIONS.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the avatar is in") == 1  # only one process prints

    one, two = moments(tmp_path / "one"), moments(tmp_path / "two")
    assert sum(moment.abs().max() > 1e-5 for moment in one) > 20
    for expected, got in zip(one, two, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * scale)
