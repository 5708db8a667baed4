"""Measure the contribution of each part of the warp: train variants of it and compare them.

    .venv/bin/python scripts/ablate.py models/avatars/default data/default --steps 1500

The textures and the generator of the avatar are frozen; the warp of each variant starts with the
avatar's weights and trains on the same pairs. Prints PSNR by cache age as a Markdown table, writes
all scores to `--out` and prints them as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from models.avatar.folder import Avatar, load_avatar
from models.avatar.manifest import AvatarError
from models.data.dataset import DatasetError, SplitReader
from models.data.pairs import PairLoader, PairSettings
from models.data.rendered_dataset import RenderedSplit
from models.evaluation.ablation import VARIANTS, VariantWarp, measure_variants, train_variants
from models.evaluation.evaluation import held_out_frames
from models.networks.avatar_networks import TelewarpNetworks
from models.runtime.base import Stage
from models.training.optimizer import Rates

Table = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Arguments:
    """Compare variants of the warp."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """Avatar folder, with our networks."""
    dataset: Annotated[Path, tyro.conf.Positional]
    """Folder of the dataset, see scripts/make_dataset.py."""
    steps: int = 1500
    """Number of batches."""
    pairs: PairSettings = field(default_factory=lambda: PairSettings(4, 128, max_age=16))
    rates: Rates = field(default_factory=Rates)
    ages: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Cache ages to measure, in frames."""
    frames: int = 20
    """Number of held-out frames to measure on."""
    seed: int = 0
    """Seed of the training pairs."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""
    out: Path = Path("ablation.json")
    """File for the scores."""


def main(arguments: Arguments) -> int:
    """Train, measure and print. Returns the exit code."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        avatar = load_avatar(arguments.avatar)
        if not isinstance(avatar.networks, TelewarpNetworks):
            raise ValueError(
                f"expected an avatar with our networks, got the paper's in {arguments.avatar}"
            )
        table = _ablate(arguments, avatar, avatar.networks)
    except (AvatarError, DatasetError, ValueError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 1
    result = {"steps": arguments.steps, "frames": arguments.frames, "scores": table}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    _print_markdown(table, arguments.ages)
    print(json.dumps(result))
    return 0


def _ablate(arguments: Arguments, avatar: Avatar, networks: TelewarpNetworks) -> Table:
    warps = [VariantWarp(networks, variant) for variant in VARIANTS]
    split = RenderedSplit(SplitReader(arguments.dataset, "train"), avatar.head)
    with (
        PairLoader(split, arguments.pairs, arguments.seed) as loader,
        tqdm(total=arguments.steps, unit="batch") as bar,
    ):
        pairs, rates = iter(loader), arguments.rates
        for losses in train_variants(networks, warps, pairs, arguments.steps, rates):
            bar.set_postfix_str(" ".join(f"{loss:.4f}" for loss in losses), False)
            bar.update()
    stage = Stage(avatar, torch.device("cpu"))
    held_out = SplitReader(arguments.dataset, "test")
    measured = held_out_frames(held_out, arguments.ages, arguments.frames, stage.size)
    return measure_variants(networks, warps, stage, measured)


def _print_markdown(table: Table, ages: tuple[int, ...]) -> None:
    full = table["full render"]["0"]["psnr"]
    print(f"| PSNR dB, full render {full:.2f}; cache age | " + " | ".join(map(str, ages)) + " |")
    print("|---|" + "---|" * len(ages))
    for name, scores in table.items():
        if name != "full render":
            row = " | ".join(f"{scores[str(age)]['psnr']:.2f}" for age in ages)
            print(f"| {name} | {row} |")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
