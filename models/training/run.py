"""Training from the command line, for `scripts/train.py` and `scripts/train_baseline.py`."""

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
from models.contract.avatar_info import Subject
from models.data.dataset import DatasetError
from models.data.processes import Processes
from models.data.splits import Dataset, Format, load_dataset
from models.geometry.flame import coefficient_range
from models.geometry.head import Head, HeadError
from models.geometry.head_file import load_head
from models.metrics.vgg import Vgg16Perceptual, WeightsError, load_vgg16
from models.networks.avatar_networks import NetworkConfig, Networks
from models.training.distributed import join_processes
from models.training.initialization import InitializationError, initialize, load_initial_weights
from models.training.objective import Objective
from models.training.trainer import Progress, RunError, TrainConfig, Trainer

VGG16_BLOCKS = 4
"""Number of VGG16's blocks that the loss compares."""

BuildObjective = Callable[[Networks, TrainConfig, nn.Module | None], Objective]
"""Builds an objective from networks, settings, and a trained perceptual distance or None."""


@dataclass(frozen=True)
class RunArguments:
    """Arguments of a training run."""

    data: Path
    """Folder of the dataset, see scripts/make_dataset.py."""
    run: Path
    """Folder for checkpoints, logs and the avatar."""
    head: Path = SHIPPED / "default" / "head.npz"
    """Head that the dataset shows. The authors' dataset shows a FLAME head, see
    scripts/import_head.py."""
    format: Format = "drawn"
    """Format of the dataset: drawn by scripts/make_dataset.py, or HDF5 files of the paper's authors
    (see models/data/authors_dataset.py)."""
    id: str = "default"
    """Id of the avatar."""
    name: str = "Default"
    """Display name of the avatar."""
    licence: str = "CC0-1.0"
    """Licence of the avatar."""
    origin: str = "Trained on images rendered by models/studio/studio.py"
    """Origin of head and images, for the manifest."""
    resolution: int | None = None
    """Rows and columns of the avatar's frames, a multiple of 32; default: as in the dataset."""
    init: Path | None = None
    """Avatar folder; weights whose names and shapes match are the initial weights."""
    vgg16: Path | None = None
    """VGG16's weights in torchvision's layout (features.N.weight, features.N.bias): the perceptual
    loss then compares their features. Default: it compares structure (SSIM)."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""
    train: TrainConfig = field(default_factory=TrainConfig)


def run_training(
    arguments: RunArguments,
    build_networks: Callable[[TrainConfig], Networks],
    build_objective: BuildObjective,
    subject: Subject | None = None,
    report: Callable[[Progress], None] | None = None,
) -> None:
    """Train to the end, or until interrupted, with a progress bar.

    Args:
        arguments: Arguments of the run.
        build_networks: Builds the networks from the settings.
        build_objective: Builds the objective that trains them.
        subject: The real person whom the dataset shows, for the manifest.
        report: Called after each step, in place of a progress bar.

    Raises:
        SystemExit: If an argument is invalid, or the run was interrupted.
    """
    name = Path(sys.argv[0]).stem
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with join_processes(arguments.train.device) as (processes, device):
        arguments = replace(arguments, train=replace(arguments.train, device=device))
        try:
            trainer = build_trainer(arguments, build_networks, build_objective, processes, subject)
        except (
            DatasetError, HeadError, InitializationError, RunError, WeightsError, ValueError,
            OSError,
        ) as error:  # fmt: skip
            sys.exit(f"{name}: {error}")
        try:
            if report is not None:
                trainer.run(report)
            else:
                _train(trainer, show_progress=processes.first)
        except KeyboardInterrupt:
            sys.exit(
                f"interrupted at batch {trainer.step}; "
                "the same command resumes from the last checkpoint"
            )
        if processes.first:
            tqdm.write(f"the avatar is in {arguments.run / 'avatar'}")


def build_trainer(
    arguments: RunArguments,
    build_networks: Callable[[TrainConfig], Networks],
    build_objective: BuildObjective,
    processes: Processes,
    subject: Subject | None = None,
) -> Trainer:
    """Load head and dataset, build the networks, and set up a trainer.

    Args:
        arguments: Arguments of the run.
        build_networks: Builds the networks from the settings.
        build_objective: Builds the objective that trains them.
        processes: Rank of this process among those that train together.
        subject: The real person whom the dataset shows, for the manifest.

    Raises:
        DatasetError, HeadError, InitializationError, RunError, WeightsError, ValueError, OSError:
            If an argument is invalid.
    """
    head = load_head(arguments.head)
    dataset = load_dataset(arguments.format, arguments.data, arguments.head, head)
    network = dataset.network_config(
        replace(arguments.train.network, expressions=len(head.expression_names))
    )
    config = replace(arguments.train, network=network)
    # Before the networks are built, so that all processes start from equal weights.
    torch.manual_seed(config.seed)
    networks = build_networks(config)
    initialize(networks)
    dataset.set_statistics(networks)
    # A resumed run has weights of its own, which must not be replaced.
    if arguments.init is not None and not (arguments.run / "checkpoint.pt").exists():
        loaded = load_initial_weights(networks, arguments.init)
        if processes.first:
            tqdm.write(f"initial weights from {arguments.init}: {loaded}")
    vgg16 = None
    if arguments.vgg16 is not None:
        vgg16 = Vgg16Perceptual(load_vgg16(arguments.vgg16, VGG16_BLOCKS))
    if processes.first:
        (arguments.run / "avatar").mkdir(parents=True, exist_ok=True)
        # The trainer saves everything else of the avatar after the first validation.
        shutil.copy(arguments.head, arguments.run / "avatar" / "head.npz")
    return Trainer(
        config,
        build_objective(networks, config, vgg16),
        dataset.train,
        dataset.validation,
        head,
        replace(_manifest(arguments, head, dataset, network), subject=subject),
        arguments.run,
        processes,
    )


def _manifest(
    arguments: RunArguments, head: Head, dataset: Dataset, network: NetworkConfig
) -> Manifest:
    return Manifest(
        id=arguments.id,
        name=arguments.name,
        resolution=arguments.resolution or dataset.size,
        expression_names=head.expression_names,
        vertex_count=len(head.neutral),
        triangle_count=len(head.faces),
        eye_position=dataset.eye_position,
        fov_y_rad=dataset.fov_y_rad,
        licence=arguments.licence,
        origin=arguments.origin,
        network=network,
        expression_range=coefficient_range(head),
    )


def _train(trainer: Trainer, show_progress: bool) -> None:
    total = trainer.config.steps
    with tqdm(total=total, initial=trainer.step, unit="batch", disable=not show_progress) as bar:

        def report(progress: Progress) -> None:
            losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            minutes, seconds = divmod(round(progress.seconds_left), 60)
            bar.set_description(f"{progress.fraction:4.0%}  {minutes}:{seconds:02d} left", False)
            bar.set_postfix_str(losses, False)
            bar.update()

        trainer.run(report)
