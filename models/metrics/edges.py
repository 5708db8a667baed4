"""Aliasing of the edges of an image: displacements of edges against ground truth.

Aliasing moves an edge to and fro along its length: by up to half a pixel where each pixel shows one
surface only. To first order, an edge that is displaced by d pixels along the gradient g of the
truth changes the image by -d |g|, so least squares over a small window give d at each edge. What
varies slowly along an edge is no step: a blurred, shifted or wrongly lit edge has the same error
everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (BT.601)."""
NARROW_PX = 1.0
"""Standard deviation of the window in which the displacement is constant: the width of an edge."""
WIDE_PX = 8.0
"""Standard deviation of the window whose mean displacement is not counted as steps."""
LEAST_GRADIENT = 0.03
"""Gradient of an edge, per pixel: 8 of 255 levels. Below it, noise decides."""
MOST_PX = 1.5
"""Displacements are clamped to this: beyond it, another edge is seen."""


def edge_displacement(image: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the displacement of edges relative to the mean displacement around them.

    Args:
        image: (B, 3, H, W) in 0..1.
        truth: (B, 3, H, W) in 0..1.

    Returns:
        (B, 1, H, W) displacement towards brighter pixels, in pixels, and (B, 1, H, W) its weight:
        squared gradients, 0 where there is no edge.
    """
    ours, true = _luma(image), _luma(truth)
    squared = _squared_gradient(true)
    # A shift by d changes a pixel by about d times the gradient, so d is the error over the
    # gradient, weighted by the squared gradient.
    product = (true - ours) * squared.sqrt()
    narrow, wide = (_least_squares(product, squared, px) for px in (NARROW_PX, WIDE_PX))
    weight = _blur(squared, NARROW_PX) * (squared > LEAST_GRADIENT**2)
    return (narrow - wide).clamp(-MOST_PX, MOST_PX), weight


def edge_steps(image: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """Return the aliasing of edges: root mean square of their displacement.

    Args:
        image: (B, 3, H, W) in 0..1.
        truth: (B, 3, H, W) ground truth of many samples per pixel.
        where: (B, 1, H, W) weight of each pixel.

    Returns:
        (B,) pixels; 0 where there are no edges.
    """
    displacement, weight = edge_displacement(image, truth)
    return _root_mean_square(displacement, weight * where)


def edge_crawl(
    images: tuple[Tensor, Tensor], truths: tuple[Tensor, Tensor], where: Tensor
) -> Tensor:
    """Return how far edges jump between two frames apart from their true movement.

    Args:
        images: Two frames (B, 3, H, W) in 0..1, between which edges move by less than a pixel.
        truths: Ground truth of both.
        where: (B, 1, H, W) weight of each pixel.

    Returns:
        (B,) root mean square, pixels; 0 where there are no edges.
    """
    (first, weight), (second, _) = (
        edge_displacement(image, truth) for image, truth in zip(images, truths, strict=True)
    )
    return _root_mean_square((second - first).clamp(-MOST_PX, MOST_PX), weight * where)


def _root_mean_square(values: Tensor, weight: Tensor) -> Tensor:
    total = (values.square() * weight).sum(dim=(1, 2, 3))
    # The clamp makes images without edges 0.
    return (total / weight.sum(dim=(1, 2, 3)).clamp(min=1e-12)).sqrt()


def _least_squares(product: Tensor, squared: Tensor, px: float) -> Tensor:
    """Return the displacement that explains an error best in a window around each pixel."""
    return _blur(product, px) / _blur(squared, px).clamp(min=1e-6)


def _luma(image: Tensor) -> Tensor:
    return (image * image.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def _squared_gradient(luma: Tensor) -> Tensor:
    """Return the squared length of central differences, per pixel."""
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return across.square() + down.square()


def _blur(values: Tensor, px: float) -> Tensor:
    """Blur (B, 1, H, W) by a Gaussian."""
    reach = round(3 * px)
    offset = torch.arange(-reach, reach + 1, dtype=values.dtype, device=values.device)
    line = torch.exp(-offset.square() / (2 * px**2))
    line = line / line.sum()
    rows = F.pad(values, (0, 0, reach, reach), mode="replicate")
    rows = F.conv2d(rows, line[None, None, :, None])
    return F.conv2d(F.pad(rows, (reach, reach, 0, 0), mode="replicate"), line[None, None, None])
