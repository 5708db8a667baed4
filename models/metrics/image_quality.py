"""Similarity of two images: PSNR and SSIM."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW = 11
"""Side of SSIM's Gaussian window, pixels (Wang et al. 2004)."""
_SIGMA = 1.5
"""Standard deviation of SSIM's Gaussian window, pixels (Wang et al. 2004)."""
_SMALLEST_ERROR = 1e-10
"""Mean squared error of equal images, so that PSNR is at most 100 dB."""


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio of images in 0..1.

    Args:
        image: (B, 3, H, W); clamped to 0..1.
        truth: (B, 3, H, W) in 0..1.

    Returns:
        (B,) dB.
    """
    error = (image.clamp(0, 1) - truth).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error.clamp(min=_SMALLEST_ERROR))


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Compute structural similarity (SSIM, Wang et al. 2004) with K1 = 0.01 and K2 = 0.03.

    Args:
        image: (B, C, H, W) in 0..1.
        truth: (B, C, H, W) in 0..1.

    Returns:
        (B,) mean over channels and over pixels whose window lies inside the image; 1 for equal
        images.
    """
    height, width = image.shape[2:]
    rows, columns = _window_matrix(height, image), _window_matrix(width, image)
    moments = [image, truth, image**2, truth**2, image * truth]
    mean_p, mean_t, square_p, square_t, product = (rows @ m @ columns.T for m in moments)

    c1, c2 = 0.01**2, 0.03**2
    covariance = product - mean_p * mean_t
    variances = square_p - mean_p**2 + square_t - mean_t**2
    similarity = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_p**2 + mean_t**2 + c1) * (variances + c2))
    mean: Tensor = similarity.mean(dim=(1, 2, 3))
    return mean


def _window_matrix(size: int, like: Tensor) -> Tensor:
    """Return the 1-D Gaussian filter as a matrix (size - 10, size), one window per row.

    The window is separable, and on a CPU two matrix products are several times as fast as a
    convolution of each channel.
    """
    x = torch.arange(size, dtype=like.dtype, device=like.device)
    offset = x - x[: size - WINDOW + 1, None] - WINDOW // 2
    line = torch.exp(-(offset**2) / (2 * _SIGMA**2)) * (offset.abs() <= WINDOW // 2)
    return line / line.sum(dim=1, keepdim=True)
