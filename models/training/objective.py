"""Training objectives: networks and losses in one module, as `DistributedDataParallel` needs it.

An objective maps a batch of pairs to named losses, whose sum is minimized. Its `networks` become
the avatar; `validate` measures them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.data.pairs import Split
from models.data.samples import SamplePair, move
from models.metrics.image_quality import psnr, ssim
from models.networks.avatar_networks import Networks, TelewarpNetworks
from models.networks.telewarp import Foreground
from models.runtime.base import network_dtype
from models.training.losses import ImageLoss, LossWeights, texture_loss

VALIDATION_AGES = (1, 4, 8)
"""Cache ages to validate at, frames; 8 frames at 30 frames/s are 267 ms."""

Losses = dict[str, Tensor]
"""Scalars by name; training minimizes their sum."""


class AgedPair(NamedTuple):
    """A whole frame and an older one, for validation."""

    age: int
    """Distance between the two frames, in frames."""
    pair: SamplePair


class ValidationResult(NamedTuple):
    """Measurements of networks on validation pairs."""

    metrics: dict[str, float]
    """Values by name: PSNR in dB, SSIM."""
    score: float
    """Greater is better; selects the best networks of a run."""
    rows: Tensor
    """(N, 3, H, columns W) images for inspection, ground truth first."""


class Objective(nn.Module, ABC):
    """Base class of training objectives.

    Args:
        networks: Networks to train.
        weights: Weights of the parts of the loss.
        mixed_precision: Whether networks run under bfloat16 autocast.
        vgg16: Trained perceptual distance of images, optional.
    """

    def __init__(
        self,
        networks: Networks,
        weights: LossWeights,
        mixed_precision: bool,
        vgg16: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.networks = networks
        # A submodule, so that it moves to the device with the networks.
        self.vgg16 = vgg16
        self._weights, self._mixed_precision = weights, mixed_precision
        self._image_loss = ImageLoss(weights, vgg16)
        self._freeze()

    def _freeze(self) -> None:
        """Exclude the parameters of `networks` that this objective does not train."""

    @property
    def reprojects(self) -> bool:
        """Whether networks reproject features of the older frame, also from outside the crop."""
        return False

    @abstractmethod
    def forward(self, pair: SamplePair) -> Losses:
        """Compute the losses of a batch."""

    @abstractmethod
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """Measure networks of the same architecture as this objective's on whole images."""


class PairObjective(Objective):
    """Full render of the older frame, and its cache warped to the newer one."""

    @property
    def reprojects(self) -> bool:
        """Ours reproject; the paper's warp pixel by pixel."""
        return isinstance(self.networks, TelewarpNetworks)

    def forward(self, pair: SamplePair) -> Losses:
        """Compute the losses of full render, warp and texture."""
        cached, now = pair
        weights = self._weights
        with autocast(cached.truth.rgb.device, self._mixed_precision):
            full = self.networks.full(cached.frame)
            warped = self.networks.warp(full.cache, cached.frame, now.frame)
        return {
            "full": weights.full * self._image_loss(as_float(full.image), cached.truth),
            "warp": weights.warp * self._image_loss(as_float(warped), now.truth),
            "texture": weights.texture * texture_loss(full.colour.float(), cached.truth),
        }

    @torch.no_grad()
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """Compute PSNR and SSIM of full renders and of warps; rows show truth, full, warp."""
        scores = Scores()
        rows = []
        for age, (cached, now) in pairs:
            background = now.truth.background
            cache = networks.full(cached.frame).cache
            full = networks.full(now.frame).image.over(background)
            warp = networks.warp(cache, cached.frame, now.frame).over(background)
            scores.add(("full",), full, now.truth.rgb)
            scores.add(("warp", f"warp_{age}"), warp, now.truth.rgb)
            # The oldest caches show most of the errors.
            if age == VALIDATION_AGES[-1]:
                rows.append(torch.cat([now.truth.rgb, full, warp], dim=3).clamp(0, 1))
        metrics = scores.means()
        return ValidationResult(
            metrics, metrics["warp_psnr"] + metrics["full_psnr"], torch.cat(rows)
        )


class WarpObjective(PairObjective):
    """Trains the warp alone, with the full render, which is trained already, frozen."""

    def _freeze(self) -> None:
        # Without gradients of the generator a step needs less time and memory.
        self.networks.requires_grad_(False)
        self.networks.warper.requires_grad_(True)

    def forward(self, pair: SamplePair) -> Losses:
        """Compute the loss of the warp."""
        cached, now = pair
        with autocast(cached.truth.rgb.device, self._mixed_precision):
            cache = self.networks.full(cached.frame).cache
            warped = self.networks.warp(cache, cached.frame, now.frame)
        return {"warp": self._image_loss(as_float(warped), now.truth)}


class Scores:
    """Collects PSNR and SSIM under names."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, names: Sequence[str], image: Tensor, truth: Tensor) -> None:
        """Measure one image (1, 3, H, W) and add the scores under several names."""
        measured = {
            "psnr": psnr(image, truth).item(),
            "ssim": ssim(image.clamp(0, 1), truth).item(),  # `psnr` clamps by itself
        }
        for name in names:
            for metric, value in measured.items():
                self._values.setdefault(f"{name}_{metric}", []).append(value)

    def means(self) -> dict[str, float]:
        """Return the mean of each score, by names such as `full_psnr`."""
        return {name: float(np.mean(values)) for name, values in self._values.items()}


def validation_pairs(split: Split, count: int, device: torch.device) -> list[AgedPair]:
    """Return `count` frames spread evenly over a split, with `VALIDATION_AGES` in turn."""
    pairs = []
    for number, index in enumerate(np.linspace(0, len(split) - 1, count).round().astype(int)):
        age = VALIDATION_AGES[number % len(VALIDATION_AGES)]
        frames = (split.older(int(index), age), int(index))
        older, now = (move(split.frame(frame).sample(), device) for frame in frames)
        pairs.append(AgedPair(age, SamplePair(older, now)))
    return pairs


def autocast(device: torch.device, mixed_precision: bool) -> AbstractContextManager[Any]:
    """Return a context in which safe operations run in bfloat16, if `mixed_precision`.

    Devices without instructions for bfloat16 compute in float32 all the same: emulated, a step of
    training on a CPU with AVX2 alone takes five times as long.
    """
    fast = mixed_precision and network_dtype(device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def as_float(image: Foreground) -> Foreground:
    """Convert an image to float32: losses are computed in full precision."""
    return Foreground(image.rgb.float(), image.mask_logit.float())
