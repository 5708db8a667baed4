"""Losses of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.samples import Truth
from models.metrics.image_quality import WINDOW, ssim
from models.networks.telewarp import Foreground

_FULL_COVERAGE = 0.99
"""Least coverage of a pixel that shows the head alone; masks have 8 bits."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Perceptual distance, a scalar, of two batches of images (B, 3, H, W) in 0..1."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the parts of the loss; the L1 distance of images has weight 1."""

    full: float = 0.5
    """Loss of the full render. The paper uses 0.1; we serve the full render as well as its
    cache."""
    warp: float = 1.0
    """Loss of the warp."""
    texture: float = 0.1
    """L1 of the texture's colour channels against the image, inside the face. The paper uses 1."""
    structure: float = 0.15
    """`structure_distance` of both images, a perceptual term without trained weights."""
    structure_scales: int = 1
    """Number of resolutions of `structure_distance`, each half of the one before."""
    vgg16: float = 0.1
    """VGG16 distance, which replaces `structure_distance` where its weights are given."""
    mask: float = 0.1
    """L1 of the mask: a dark head on a dark background hardly shows errors of the mask in the
    image."""


class ImageLoss:
    """L1 and perceptual distance of a composited image, and L1 of its mask.

    Pixels count by their weight, where the truth has one.

    Args:
        weights: Weights of the parts.
        vgg16: Trained distance that replaces `structure_distance`.
    """

    def __init__(self, weights: LossWeights, vgg16: Distance | None = None) -> None:
        self._weights, self._vgg16 = weights, vgg16

    def __call__(self, image: Foreground, truth: Truth) -> Tensor:
        """Return the loss, a scalar."""
        composed = image.over(truth.background)
        error = (composed - truth.rgb).abs()
        mask = (torch.sigmoid(image.mask_logit) - truth.mask).abs()
        if truth.weight is not None:
            counted = truth.weight.clamp(max=1)
            error, mask = error * truth.weight, mask * counted
            # Pixels that do not count take the truth, so that no window of SSIM sees an error.
            composed = torch.lerp(truth.rgb, composed, counted)
        perceptual = self._perceptual(composed, truth.rgb)
        return error.mean() + perceptual + self._weights.mask * mask.mean()

    def _perceptual(self, image: Tensor, truth: Tensor) -> Tensor:
        weights = self._weights
        if self._vgg16 is not None:
            return weights.vgg16 * self._vgg16(image, truth)
        if weights.structure == 0:
            return image.new_zeros(())
        return weights.structure * structure_distance(image, truth, weights.structure_scales)


def structure_distance(image: Tensor, truth: Tensor, scales: int = 1) -> Tensor:
    """Compute 1 - SSIM, averaged over resolutions (Wang et al. 2003); 0 for equal images.

    Args:
        image: (B, 3, H, W) in 0..1.
        truth: (B, 3, H, W) in 0..1.
        scales: Number of resolutions, each half of the one before, as far as SSIM's window fits.

    Returns:
        A scalar.
    """
    distances = []
    for _ in range(scales):
        # SSIM needs at least one whole window.
        if min(image.shape[2:]) < WINDOW:
            break
        distances.append(1 - ssim(image, truth).mean())
        image, truth = F.avg_pool2d(image, 2), F.avg_pool2d(truth, 2)
    return torch.stack(distances).mean()


def texture_loss(colour: Tensor, truth: Truth) -> Tensor:
    """Compute the L1 distance of the texture's colours (B, 3, H, W) to the image on the head."""
    # Pixels of the silhouette mix in the background; the texture must not learn it.
    inside = (truth.mask > _FULL_COVERAGE).to(colour.dtype)
    if truth.weight is not None:
        inside = inside * truth.weight
    return ((colour - truth.rgb).abs() * inside).mean()
