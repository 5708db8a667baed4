"""How near two pictures are: PSNR and SSIM."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW = 11
"""Side of the window that structure is compared in, pixels."""
_SIGMA = 1.5


def psnr(picture: Tensor, truth: Tensor) -> Tensor:
    """Peak signal to noise ratio of pictures in 0..1.

    Args:
        picture: (B, 3, H, W).
        truth: (B, 3, H, W).

    Returns:
        (B,) dB.
    """
    error = (picture.clamp(0, 1) - truth).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error.clamp(min=1e-10))


def ssim(picture: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, K = 0.01, 0.03.

    Args:
        picture: (B, C, H, W) in 0..1.
        truth: (B, C, H, W).

    Returns:
        (B,) mean over channels and the pixels whose whole window lies inside; 1 where equal.
    """
    height, width = picture.shape[2:]
    rows, columns = _window_matrix(height, picture), _window_matrix(width, picture)
    moments = [picture, truth, picture**2, truth**2, picture * truth]
    mean_p, mean_t, square_p, square_t, product = (rows @ m @ columns.T for m in moments)

    c1, c2 = 0.01**2, 0.03**2
    covariance = product - mean_p * mean_t
    variances = square_p - mean_p**2 + square_t - mean_t**2
    similarity = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_p**2 + mean_t**2 + c1) * (variances + c2))
    mean: Tensor = similarity.mean(dim=(1, 2, 3))
    return mean


def _window_matrix(size: int, like: Tensor) -> Tensor:
    """(size - 10, size): row by row the window's weights, along one side of a picture.

    On a CPU a product of matrices is several times as fast as a convolution of each channel.
    """
    x = torch.arange(size, dtype=like.dtype, device=like.device)
    offset = x - x[: size - WINDOW + 1, None] - WINDOW // 2
    line = torch.exp(-(offset**2) / (2 * _SIGMA**2)) * (offset.abs() <= WINDOW // 2)
    return line / line.sum(dim=1, keepdim=True)
