"""How near two pictures are: PSNR and SSIM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    channels = picture.shape[1]
    x = torch.arange(WINDOW, dtype=picture.dtype, device=picture.device) - WINDOW // 2
    line = torch.exp(-(x**2) / (2 * _SIGMA**2))
    line = (line / line.sum()).repeat(5 * channels, 1)

    moments = torch.cat([picture, truth, picture**2, truth**2, picture * truth], dim=1)
    blurred = F.conv2d(moments, line[:, None, :, None], groups=5 * channels)
    blurred = F.conv2d(blurred, line[:, None, None, :], groups=5 * channels)
    mean_p, mean_t, square_p, square_t, product = blurred.split(channels, dim=1)

    c1, c2 = 0.01**2, 0.03**2
    covariance = product - mean_p * mean_t
    variances = square_p - mean_p**2 + square_t - mean_t**2
    similarity = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_p**2 + mean_t**2 + c1) * (variances + c2))
    mean: Tensor = similarity.mean(dim=(1, 2, 3))
    return mean
