"""The training loop: texture, generator and warp jointly, from pairs of frames.

What a run leaves in its folder:

    config.json       its settings
    checkpoint.pt     everything needed to go on after an interruption, as if there had been none
    avatar/           the best avatar so far, on validation frames
    validation.jsonl  metrics of every validation
    tensorboard/      losses, metrics and picture grids
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
"""Steps between losses in TensorBoard."""


class RunError(ValueError):
    """A run's folder holds something that cannot be continued."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    pairs: PairSettings = field(default_factory=PairSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    rates: Rates = field(default_factory=Rates)
    steps: int = 20_000
    """Batches in all."""
    minutes: float | None = None
    """Ends earlier, the learning rate falling accordingly; for machines whose speed is not
    known."""
    mixed_precision: bool = True
    """Networks run in bfloat16 where that is safe, losses in float32."""
    average_decay: float = 0.999
    """Of the running mean of the weights, which is what is validated and saved."""
    validate_every: int = 500
    validation_frames: int = 12
    checkpoint_every: int = 250
    seed: int = 0
    """The same seed gives the same weights, on a CPU and with a number of steps."""
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; for whoever shows it."""

    step: int
    fraction: float
    """Of the run, 0..1."""
    losses: dict[str, float]
    seconds_left: float


class Trainer:
    """One training run, or this process' share of it.

    Args:
        config: Its settings.
        objective: What is trained. Its networks must be the same in all processes.
        train: Footage to learn from.
        validation: Footage to choose the best by.
        head: Of the avatar to be.
        manifest: Of the avatar to be.
        folder: Where the run leaves its files. A run found there is continued.
        processes: Which of the processes that train together this is.

    Raises:
        RunError: If the run found there has other networks.
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
        lay_out_channels_last(self.networks)
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        self._losses = self._shared(objective)
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
            pairs = config.pairs if self._objective.carries else replace(config.pairs, margin=0)
            loader = stack.enter_context(
                PairLoader(self._train, pairs, config.seed, self.step, self._processes)
            )
            self._loop(iter(loader), writer, report)

    @property
    def fraction(self) -> float:
        """How much of the run is done, by steps or by time, whichever is further."""
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
            # All must agree on when to stop, else some wait for the others for ever.
            self._seconds = broadcast_from_first(seconds, self._processes, self._device)
            if writer is not None:
                self._keep(writer, losses)
            report(Progress(self.step, self.fraction, losses, self._seconds_left()))

    def _keep(self, writer: SummaryWriter, losses: dict[str, float]) -> None:
        """Log, validate and save, as often as is due; by the first process alone."""
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
        set_rates(self._optimizer, rates.schedule, self.fraction)
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._losses(SamplePair(*(move(example, self._device) for example in pair)))
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {total.item()} at step {self.step}")
        total.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), rates.clip)
        self._optimizer.step()
        self._follow()
        return {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def _follow(self) -> None:
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
            raise RunError(f"{path} is of other networks than these settings make: {exc}") from exc
        self.average.load_state_dict(saved["average"])
        peaks = [group["peak"] for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(saved["optimizer"])
        for group, peak in zip(self._optimizer.param_groups, peaks, strict=True):
            group["peak"] = peak  # the settings' and not the file's
        self.step, self._seconds, self.best = saved["step"], saved["seconds"], saved["best"]

    def _shared(self, objective: Objective) -> Callable[[SamplePair], Losses]:
        """The objective, whose gradients are averaged over all processes."""
        if self._processes.total == 1:
            return objective
        devices = [self._device] if self._device.type == "cuda" else None
        return DistributedDataParallel(objective, devices)
