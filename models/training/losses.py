"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.samples import Truth
from models.metrics.image_quality import WINDOW, ssim
from models.networks.telewarp import Foreground

Distance = Callable[[Tensor, Tensor], Tensor]
"""How far apart two batches of pictures (B, 3, H, W) in 0..1 are to the eye; a scalar."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each part counts."""

    full: float = 0.5
    """The full render. The paper has 0.1; its picture matters as much to us as the cache behind
    it."""
    warp: float = 1.0
    texture: float = 0.1
    """The texture's colour channels against the picture, inside the face. The paper has 1."""
    structure: float = 0.15
    """`structure_distance`, beside L1, in both pictures: a perceptual term without trained
    weights."""
    structure_scales: int = 1
    """Resolutions that structure is compared at, each half of the one before."""
    vgg16: float = 0.1
    """Distance to VGG16, instead of structure, when its weights are given."""
    mask: float = 0.1
    """L1 of the mask: a dark head on a dark background has little other reason to be cut out
    well."""


class ImageLoss:
    """L1 and perceptual distance of a composed picture, and L1 of its mask.

    Args:
        weights: How much each part counts.
        vgg16: A trained distance, instead of structure.
    """

    def __init__(self, weights: LossWeights, vgg16: Distance | None = None) -> None:
        self._weights, self._vgg16 = weights, vgg16

    def __call__(self, picture: Foreground, truth: Truth) -> Tensor:
        """A scalar."""
        composed = picture.over(truth.background)
        total = (composed - truth.rgb).abs().mean()
        mask = (torch.sigmoid(picture.mask_logit) - truth.mask).abs().mean()
        return total + self._perceptual(composed, truth.rgb) + self._weights.mask * mask

    def _perceptual(self, picture: Tensor, truth: Tensor) -> Tensor:
        weights = self._weights
        if self._vgg16 is not None:
            return weights.vgg16 * self._vgg16(picture, truth)
        if weights.structure == 0:
            return picture.new_zeros(())
        return weights.structure * structure_distance(picture, truth, weights.structure_scales)


def structure_distance(picture: Tensor, truth: Tensor, scales: int = 1) -> Tensor:
    """1 - SSIM, averaged over resolutions (after Wang et al. 2003); 0 where equal.

    Args:
        picture: (B, 3, H, W).
        truth: (B, 3, H, W).
        scales: Resolutions, each half of the one before, as far as SSIM's window fits.
    """
    distances = []
    for _ in range(scales):
        if min(picture.shape[2:]) < WINDOW:
            break
        distances.append(1 - ssim(picture, truth).mean())
        picture, truth = F.avg_pool2d(picture, 2), F.avg_pool2d(truth, 2)
    return torch.stack(distances).mean()


def texture_loss(colour: Tensor, truth: Truth) -> Tensor:
    """L1 of the texture's colours (B, 3, H, W) against the picture, where the head is."""
    inside = (truth.mask > 0.99).to(colour.dtype)
    return ((colour - truth.rgb).abs() * inside).mean()
