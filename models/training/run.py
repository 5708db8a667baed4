"""A training run as a person asks for it: what `scripts/train.py` and `train_baseline.py` share."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from models.avatar.folder import SHIPPED
from models.avatar.manifest import Manifest
from models.data.dataset import DatasetError
from models.data.processes import Processes
from models.data.splits import Dataset, Format, load_dataset
from models.geometry.flame import coefficient_range
from models.geometry.head import Head, HeadError, load_head
from models.metrics.vgg import Vgg16Perceptual, WeightsError, load_vgg16
from models.networks.avatar_networks import NetworkConfig, Networks
from models.training.distributed import joined
from models.training.initialization import InitialError, initialize, start_from
from models.training.objective import Objective
from models.training.trainer import Progress, RunError, TrainConfig, Trainer

VGG16_BLOCKS = 4
"""That the loss looks at."""

BuildObjective = Callable[[Networks, TrainConfig, nn.Module | None], Objective]
"""From networks, settings, and a trained distance of pictures if there is one."""


@dataclass(frozen=True)
class SessionArguments:
    """What to train, from what, and where to."""

    data: Path
    """Dataset folder, see scripts/make_dataset.py."""
    run: Path
    """Where the run leaves checkpoints, logs and the avatar."""
    head: Path = SHIPPED / "default" / "head.npz"
    """The head that the dataset shows. The authors' shows a FLAME head, see
    scripts/import_head.py."""
    format: Format = "drawn"
    """Of the dataset: written by scripts/make_dataset.py, or laid out as the paper's authors have
    it (HDF5, see models/data/authors_dataset.py)."""
    id: str = "default"
    """The avatar's id."""
    name: str = "Default"
    """The avatar's name, for people."""
    licence: str = "CC0-1.0"
    """Licence of the avatar."""
    origin: str = "Trained on pictures drawn by models/studio/studio.py"
    """Where head and pictures come from."""
    resolution: int | None = None
    """Of the avatar's pictures, a multiple of 32; the dataset's if not given."""
    init: Path | None = None
    """Avatar folder whose weights to start from, where names and shapes match."""
    vgg16: Path | None = None
    """VGG16's weights in torchvision's layout (features.N.weight, features.N.bias): the perceptual
    loss is then the distance of their features. Without it, of structure (SSIM)."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    train: TrainConfig = field(default_factory=TrainConfig)


def run_session(
    arguments: SessionArguments,
    build_networks: Callable[[TrainConfig], Networks],
    build_objective: BuildObjective,
) -> None:
    """Train to the end, or until interrupted, with a progress bar.

    Exits with a message where an argument is not what it should be.
    """
    name = Path(sys.argv[0]).stem
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with joined(arguments.train.device) as (processes, device):
        arguments = replace(arguments, train=replace(arguments.train, device=device))
        try:
            trainer = build_trainer(arguments, build_networks, build_objective, processes)
        except (
            DatasetError, HeadError, InitialError, RunError, WeightsError, ValueError, OSError
        ) as error:  # fmt: skip
            sys.exit(f"{name}: {error}")
        try:
            _train(trainer, shown=processes.first)
        except KeyboardInterrupt:
            sys.exit(f"interrupted at batch {trainer.step}; the same command goes on from there")
        if processes.first:
            tqdm.write(f"the avatar is in {arguments.run / 'avatar'}")


def build_trainer(
    arguments: SessionArguments,
    build_networks: Callable[[TrainConfig], Networks],
    build_objective: BuildObjective,
    processes: Processes,
) -> Trainer:
    """Set a run up.

    Raises:
        DatasetError, HeadError, InitialError, RunError, WeightsError, ValueError, OSError: If an
            argument is not what it should be; the message says which and how.
    """
    head = load_head(arguments.head)
    film = load_dataset(arguments.format, arguments.data, arguments.head, head)
    network = film.adapt(replace(arguments.train.network, expressions=len(head.expression_names)))
    config = replace(arguments.train, network=network)
    torch.manual_seed(config.seed)
    networks = build_networks(config)
    initialize(networks)
    film.introduce(networks)
    if arguments.init is not None and not (arguments.run / "checkpoint.pt").exists():
        taken = start_from(networks, arguments.init)
        if processes.first:
            tqdm.write(f"started from {arguments.init}: {taken}")
    vgg16 = None
    if arguments.vgg16 is not None:
        vgg16 = Vgg16Perceptual(load_vgg16(arguments.vgg16, VGG16_BLOCKS))
    if processes.first:
        (arguments.run / "avatar").mkdir(parents=True, exist_ok=True)
        shutil.copy(arguments.head, arguments.run / "avatar" / "head.npz")
    return Trainer(
        config,
        build_objective(networks, config, vgg16),
        film.train,
        film.validation,
        head,
        _manifest(arguments, head, film, network),
        arguments.run,
        processes,
    )


def _manifest(
    arguments: SessionArguments, head: Head, film: Dataset, network: NetworkConfig
) -> Manifest:
    return Manifest(
        id=arguments.id,
        name=arguments.name,
        resolution=arguments.resolution or film.size,
        expression_names=head.expression_names,
        vertex_count=len(head.neutral),
        triangle_count=len(head.faces),
        eye_position=film.eye_position,
        fov_y_rad=film.fov_y_rad,
        licence=arguments.licence,
        origin=arguments.origin,
        network=network,
        expression_range=coefficient_range(head),
    )


def _train(trainer: Trainer, shown: bool) -> None:
    total = trainer.config.steps
    with tqdm(total=total, initial=trainer.step, unit="batch", disable=not shown) as bar:

        def report(progress: Progress) -> None:
            losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            minutes, seconds = divmod(round(progress.seconds_left), 60)
            bar.set_description(f"{progress.fraction:4.0%}  {minutes}:{seconds:02d} left", False)
            bar.set_postfix_str(losses, False)
            bar.update()

        trainer.run(report)
