"""What one batch teaches: networks and loss in one module, so that it can be trained as one.

An objective maps a batch of pairs to named losses, to be added up. Its `networks` become the
avatar, and its `validate` says how good they are.
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
from models.training.losses import ImageLoss, LossWeights, texture_loss

VALIDATION_AGES = (1, 4, 8)

Losses = dict[str, Tensor]
"""Scalars by name, to be added up."""


class AgedPair(NamedTuple):
    """A whole frame and an older one, to validate on."""

    age: int
    """Frames between them."""
    pair: SamplePair


class ValidationResult(NamedTuple):
    """How good networks are."""

    metrics: dict[str, float]
    """By name: PSNR in dB, SSIM."""
    score: float
    """The greater, the better: what the best networks of a run are chosen by."""
    rows: Tensor
    """(N, 3, H, columns W) pictures to look at, ground truth first."""


class Objective(nn.Module, ABC):
    """What a trainer trains.

    Args:
        networks: To be trained.
    """

    carries = False
    """Whether it carries features of the older frame, from around the newer one's window too."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    @abstractmethod
    def forward(self, pair: SamplePair) -> Losses:
        """The losses of a batch."""

    @abstractmethod
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """Measure `networks`, which are built as this objective's, on whole pictures."""


class PairObjective(Objective):
    """Full render of the older frame, and its cache warped to the newer one.

    Args:
        networks: To be trained.
        weights: How much each part of the loss counts.
        mixed_precision: Whether networks run in bfloat16 where that is safe.
        vgg16: A trained distance of pictures, if there is one.
    """

    def __init__(
        self,
        networks: Networks,
        weights: LossWeights,
        mixed_precision: bool,
        vgg16: nn.Module | None = None,
    ) -> None:
        super().__init__(networks)
        self.vgg16, self.carries = vgg16, isinstance(networks, TelewarpNetworks)
        self._weights, self._mixed_precision = weights, mixed_precision
        self._picture_loss = ImageLoss(weights, vgg16)

    def forward(self, pair: SamplePair) -> Losses:
        """The losses of both pictures and of the texture."""
        cached, now = pair
        weights = self._weights
        with autocast(cached.truth.rgb.device, self._mixed_precision):
            full = self.networks.full(cached.frame)
            warped = self.networks.warp(full.cache, cached.frame, now.frame)
        return {
            "full": weights.full * self._picture_loss(as_float(full.image), cached.truth),
            "warp": weights.warp * self._picture_loss(as_float(warped), now.truth),
            "texture": weights.texture * texture_loss(full.colour.float(), cached.truth),
        }

    @torch.no_grad()
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """PSNR and SSIM of full renders, and of warps by age; rows show truth, full, warp."""
        scores = Scores()
        rows = []
        for age, (cached, now) in pairs:
            background = now.truth.background
            cache = networks.full(cached.frame).cache
            full = networks.full(now.frame).image.over(background)
            warp = networks.warp(cache, cached.frame, now.frame).over(background)
            scores.add(("full",), full, now.truth.rgb)
            scores.add(("warp", f"warp_{age}"), warp, now.truth.rgb)
            if age == VALIDATION_AGES[-1]:
                rows.append(torch.cat([now.truth.rgb, full, warp], dim=3).clamp(0, 1))
        metrics = scores.means()
        return ValidationResult(
            metrics, metrics["warp_psnr"] + metrics["full_psnr"], torch.cat(rows)
        )


class WarpObjective(PairObjective):
    """The warp alone learns, from full renders that stay as they are.

    Args:
        networks: Trained already, but for the warp.
        weights: How much each part of the loss counts.
        mixed_precision: Whether networks run in bfloat16 where that is safe.
        vgg16: A trained distance of pictures, if there is one.
    """

    def __init__(
        self,
        networks: Networks,
        weights: LossWeights,
        mixed_precision: bool,
        vgg16: nn.Module | None = None,
    ) -> None:
        super().__init__(networks, weights, mixed_precision, vgg16)
        networks.requires_grad_(False)
        networks.warper.requires_grad_(True)

    def forward(self, pair: SamplePair) -> Losses:
        """The loss of the warp."""
        cached, now = pair
        with autocast(cached.truth.rgb.device, self._mixed_precision):
            cache = self.networks.full(cached.frame).cache
            warped = self.networks.warp(cache, cached.frame, now.frame)
        return {"warp": self._picture_loss(as_float(warped), now.truth)}


class Scores:
    """Collects PSNR and SSIM under names."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, names: Sequence[str], picture: Tensor, truth: Tensor) -> None:
        """Score one picture (1, 3, H, W) under several names."""
        measured = {
            "psnr": psnr(picture, truth).item(),
            "ssim": ssim(picture.clamp(0, 1), truth).item(),
        }
        for name in names:
            for metric, value in measured.items():
                self._values.setdefault(f"{name}_{metric}", []).append(value)

    def means(self) -> dict[str, float]:
        """The mean of each, e.g. `full_psnr`."""
        return {name: float(np.mean(values)) for name, values in self._values.items()}


def validation_pairs(footage: Split, count: int, device: torch.device) -> list[AgedPair]:
    """`count` frames spread over the footage, the ages taking turns."""
    pairs = []
    for turn, index in enumerate(np.linspace(0, len(footage) - 1, count).round().astype(int)):
        age = VALIDATION_AGES[turn % len(VALIDATION_AGES)]
        frames = (footage.older(int(index), age), int(index))
        older, now = (move(footage.take(frame).example(), device) for frame in frames)
        pairs.append(AgedPair(age, SamplePair(older, now)))
    return pairs


def autocast(device: torch.device, mixed_precision: bool) -> AbstractContextManager[Any]:
    """bfloat16 where it is safe, if wanted."""
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision)


def as_float(picture: Foreground) -> Foreground:
    """A picture in float32: losses are computed in full precision."""
    return Foreground(picture.rgb.float(), picture.mask_logit.float())
