"""The training loop: trains texture, generator and warp jointly on pairs of frames.

Files in the folder of a run:

    config.json       settings
    checkpoint.pt     complete state; a resumed run takes the same steps as an uninterrupted one
    avatar/           best avatar so far, on validation frames
    validation.jsonl  metrics of all validations
    tensorboard/      losses, metrics and image grids
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from models.avatar.folder import Avatar, save_avatar
from models.avatar.manifest import Manifest
from models.data.pairs import PairLoader, PairSettings, Split
from models.data.processes import ALONE, Processes
from models.data.samples import SamplePair, move
from models.geometry.head import Head
from models.networks.avatar_networks import NetworkConfig
from models.networks.memory_format import lay_out_channels_last
from models.training.distributed import broadcast_from_first
from models.training.losses import LossWeights
from models.training.objective import AgedPair, Losses, Objective, validation_pairs
from models.training.optimizer import Rates, build_optimizer, set_rates

LOG_EVERY = 20
"""Steps between two values of the losses in TensorBoard."""


class RunError(ValueError):
    """The folder holds a run that cannot be resumed with these settings."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    pairs: PairSettings = field(default_factory=PairSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    rates: Rates = field(default_factory=Rates)
    steps: int = 20_000
    """Number of batches."""
    minutes: float | None = None
    """Time limit; the learning rate schedule follows it. For machines of unknown speed."""
    mixed_precision: bool = True
    """Whether networks run under bfloat16 autocast, on devices that have instructions for it;
    losses are always float32."""
    average_decay: float = 0.999
    """Decay of the exponential moving average of the weights, which is validated and saved."""
    validate_every: int = 500
    """Steps between validations."""
    validation_frames: int = 12
    """Frames to validate on."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    seed: int = 0
    """Seed; it determines the weights on a CPU, unless `minutes` ends the run."""
    device: str = "cpu"
    """PyTorch device, such as cuda."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run."""

    step: int
    """Number of finished steps."""
    fraction: float
    """Finished part of the run, 0..1."""
    losses: dict[str, float]
    seconds_left: float


class Trainer:
    """One training run, or the share of this process in it.

    Args:
        config: Settings.
        objective: Objective to minimize. Its initial networks must be equal in all processes.
        train: Split to train on.
        validation: Split to select the best avatar on.
        head: Head of the avatar.
        manifest: Manifest of the avatar.
        folder: Folder of the run; a run that it holds is resumed.
        processes: Rank of this process among those that train together.

    Raises:
        RunError: If the run in `folder` has other networks.
    """

    def __init__(
        self,
        config: TrainConfig,
        objective: Objective,
        train: Split,
        validation: Split,
        head: Head,
        manifest: Manifest,
        folder: Path,
        processes: Processes = ALONE,
    ) -> None:
        self.config, self.folder, self.manifest = config, folder, manifest
        self._head, self._train, self._processes = head, train, processes
        self._device = torch.device(config.device)
        self._objective = objective.to(self._device)
        self.networks = objective.networks
        lay_out_channels_last(self.networks)  # before the copy, which keeps the layout
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        self._losses = self._distribute(objective)
        self._optimizer = build_optimizer(self.networks, config.rates)
        self._validation: list[AgedPair] = []
        if processes.first:
            count = config.validation_frames
            self._validation = validation_pairs(validation, count, self._device)
        self.step, self._seconds, self.best = 0, 0.0, -math.inf
        self._resume()

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train to the end, calling `report` after each step."""
        config = self.config
        with ExitStack() as stack:
            writer = None
            if self._processes.first:
                self.folder.mkdir(parents=True, exist_ok=True)
                text = json.dumps(asdict(config), indent=1)
                (self.folder / "config.json").write_text(text)
                writer = stack.enter_context(SummaryWriter(str(self.folder / "tensorboard")))
            # A margin would cost time where no feature of the older frame is reprojected.
            pairs = config.pairs if self._objective.reprojects else replace(config.pairs, margin=0)
            loader = stack.enter_context(
                PairLoader(self._train, pairs, config.seed, self.step, self._processes)
            )
            self._loop(iter(loader), writer, report)

    @property
    def fraction(self) -> float:
        """Finished part of the run, 0..1, by steps or by time, whichever is greater."""
        by_time = self._seconds / (self.config.minutes * 60) if self.config.minutes else 0.0
        return min(1.0, max(self.step / self.config.steps, by_time))

    def _loop(
        self,
        pairs: Iterator[SamplePair],
        writer: SummaryWriter | None,
        report: Callable[[Progress], None],
    ) -> None:
        while self.fraction < 1:
            started = time.monotonic()
            losses = self._train_step(next(pairs))
            self.step += 1
            seconds = self._seconds + time.monotonic() - started
            # All processes must stop at the same step; otherwise some wait for the others forever.
            self._seconds = broadcast_from_first(seconds, self._processes, self._device)
            if writer is not None:
                self._log_and_save(writer, losses)
            report(Progress(self.step, self.fraction, losses, self._seconds_left()))

    def _log_and_save(self, writer: SummaryWriter, losses: dict[str, float]) -> None:
        """Log, validate and save when due; only the process of rank 0 does."""
        last = self.fraction >= 1
        if self.step % LOG_EVERY == 0:
            for name, value in losses.items():
                writer.add_scalar(f"loss/{name}", value, self.step)
        if last or self.step % self.config.validate_every == 0:
            self._validate(writer)
        if last or self.step % self.config.checkpoint_every == 0:
            self._save_checkpoint()

    def _seconds_left(self) -> float:
        return self._seconds / self.fraction * (1 - self.fraction)

    def _train_step(self, pair: SamplePair) -> dict[str, float]:
        rates = self.config.rates
        # By the finished part and not by steps, because a run may be limited by time.
        set_rates(self._optimizer, rates.schedule, self.fraction)
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._losses(SamplePair(*(move(sample, self._device) for sample in pair)))
        total = torch.stack(list(losses.values())).sum()
        # Stops before the optimizer writes NaN into the weights and into the next checkpoint.
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"expected a finite loss, got {total.item()} at step {self.step}"
            )
        total.backward()
        # After `backward`, which with several processes has averaged the gradients: all clip alike.
        nn.utils.clip_grad_norm_(self.networks.parameters(), rates.clip)
        self._optimizer.step()
        self._update_average()
        return {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        """Update the moving average of the weights."""
        # `torch.optim.swa_utils.AveragedModel` copies the weights at its first update instead of
        # averaging them, which changes the result, and would change the keys of checkpoints.
        # The decay grows from 0.1, so that the average soon forgets the initial weights.
        decay = min(self.config.average_decay, (self.step + 1) / (self.step + 10))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.networks.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)

    def _validate(self, writer: SummaryWriter) -> None:
        metrics, score, rows = self._objective.validate(self.average, self._validation)
        for name, value in metrics.items():
            writer.add_scalar(f"validation/{name}", value, self.step)
        writer.add_images("validation", rows, self.step)
        if score > self.best:
            self.best = score
            self._save_avatar()
        with (self.folder / "validation.jsonl").open("a") as log:
            line = {"step": self.step, "seconds": round(self._seconds), **metrics}
            log.write(json.dumps(line) + "\n")

    def _save_avatar(self) -> None:
        networks = copy.deepcopy(self.average).cpu().eval()
        background = self._train.background
        save_avatar(self.folder / "avatar", Avatar(self.manifest, self._head, networks, background))

    def _save_checkpoint(self) -> None:
        # Written under another name first: an interruption leaves the last checkpoint intact.
        part = self.folder / "checkpoint.pt.part"
        torch.save(
            {
                "step": self.step,
                "seconds": self._seconds,
                "best": self.best,
                "networks": self.networks.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            },
            part,
        )
        part.replace(self.folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        saved = torch.load(path, map_location=self._device, weights_only=True)
        try:
            self.networks.load_state_dict(saved["networks"])
        except RuntimeError as exc:
            raise RunError(f"{path} holds other networks than these settings build: {exc}") from exc
        self.average.load_state_dict(saved["average"])
        # The optimizer's state includes the peaks of the saved run.
        peaks = [group["peak"] for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(saved["optimizer"])
        for group, peak in zip(self._optimizer.param_groups, peaks, strict=True):
            group["peak"] = peak  # a resumed run may change the learning rates
        self.step, self._seconds, self.best = saved["step"], saved["seconds"], saved["best"]

    def _distribute(self, objective: Objective) -> Callable[[SamplePair], Losses]:
        """Return the objective with gradients that are averaged over all processes."""
        if self._processes.total == 1:
            return objective
        # DistributedDataParallel takes no device ids on CPUs.
        devices = [self._device] if self._device.type == "cuda" else None
        return DistributedDataParallel(objective, devices)
