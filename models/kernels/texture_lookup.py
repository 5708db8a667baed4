"""The neural texture's lookup for training on a CPU: channels last, covered pixels only.

Equals `sample_texels` times scale and coverage. Torch's `grid_sample` needs channels first, visits
every pixel, and needs three more passes over full-resolution features for the scaling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models.contract.frame_state import FloatArray


def look_up(texels: Tensor, uv: Tensor, scale: Tensor, coverage: Tensor) -> Tensor:
    """Look a texture up bilinearly at all covered pixels, and scale the result.

    Args:
        texels: (1, C, h, w), channels last in memory.
        uv: (B, H, W, 2) in [-1, 1].
        scale: (B, C) factor of each channel.
        coverage: (B, H, W) factor of each pixel; those with 0 are skipped.

    Returns:
        (B, C, H, W), channels last in memory. Differentiable with respect to `texels` only.
    """
    features: Tensor = _LookUp.apply(texels[0].permute(1, 2, 0), uv, scale, coverage)
    return features.permute(0, 3, 1, 2)


class _LookUp(torch.autograd.Function):
    """The lookup with its gradient for the texels; UV maps and scales are not learned."""

    @staticmethod
    def forward(ctx: Any, texels: Tensor, uv: Tensor, scale: Tensor, coverage: Tensor) -> Tensor:
        ctx.save_for_backward(uv, scale, coverage)
        # Their shape only: the lookup is linear in the texels, so its gradient does not depend on
        # them.
        ctx.texels = texels.shape
        features = np.zeros((*coverage.shape, texels.shape[2]), np.float32)
        _gather(
            texels.detach().contiguous().numpy(), uv.numpy(), scale.numpy(), coverage.numpy(),
            features,
        )  # fmt: skip
        return torch.from_numpy(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        uv, scale, coverage = ctx.saved_tensors
        # One thread: several would add to the same texels.
        texels = np.zeros(ctx.texels, np.float32)
        gradient = gradients[0].contiguous().numpy()
        _scatter(gradient, uv.numpy(), scale.numpy(), coverage.numpy(), texels)
        return torch.from_numpy(texels), None, None, None


@njit(cache=True, nogil=True, inline="always")
def bilinear_corners(
    u: float, v: float, height: int, width: int
) -> tuple[int, int, int, int, np.float32, np.float32, np.float32, np.float32]:
    """Find the four texels around a point, clamped at borders, as `grid_sample` does with
    `align_corners=False`.

    Args:
        u: -1..1, to the right.
        v: -1..1, down.
        height: Rows of the texture.
        width: Columns of the texture.

    Returns:
        x0, y0, x1, y1, and the weights of (y0, x0), (y0, x1), (y1, x0) and (y1, x1).
    """
    # Texel centres are at half-integers: -1 is the left edge of the first texel, not its centre.
    tx = min(max(((u + 1) * width - 1) / 2, 0.0), width - 1.0)
    ty = min(max(((v + 1) * height - 1) / 2, 0.0), height - 1.0)
    x0, y0 = int(tx), int(ty)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    fx, fy = np.float32(tx - x0), np.float32(ty - y0)
    gx, gy = np.float32(1) - fx, np.float32(1) - fy
    return x0, y0, x1, y1, gy * gx, gy * fx, fy * gx, fy * fx


@njit(cache=True, nogil=True, fastmath=True)
def _gather(
    texels: FloatArray, uv: FloatArray, scale: FloatArray, coverage: FloatArray, out: FloatArray
) -> None:
    """Fill `out` (B, H, W, C) at covered pixels."""
    height, width, channels = texels.shape
    for b in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                if coverage[b, y, x] == 0:
                    continue
                u, v = uv[b, y, x, 0], uv[b, y, x, 1]
                x0, y0, x1, y1, w00, w01, w10, w11 = bilinear_corners(u, v, height, width)
                for c in range(channels):
                    value = w00 * texels[y0, x0, c] + w01 * texels[y0, x1, c]
                    value += w10 * texels[y1, x0, c] + w11 * texels[y1, x1, c]
                    out[b, y, x, c] = value * scale[b, c] * coverage[b, y, x]


@njit(cache=True, nogil=True, fastmath=True)
def _scatter(
    gradient: FloatArray,
    uv: FloatArray,
    scale: FloatArray,
    coverage: FloatArray,
    texels: FloatArray,
) -> None:
    """Add a gradient (B, H, W, C) to that of the texels (h, w, C)."""
    height, width, channels = texels.shape
    for b in range(gradient.shape[0]):
        for y in range(gradient.shape[1]):
            for x in range(gradient.shape[2]):
                if coverage[b, y, x] == 0:
                    continue
                u, v = uv[b, y, x, 0], uv[b, y, x, 1]
                x0, y0, x1, y1, w00, w01, w10, w11 = bilinear_corners(u, v, height, width)
                for c in range(channels):
                    value = gradient[b, y, x, c] * scale[b, c] * coverage[b, y, x]
                    texels[y0, x0, c] += w00 * value
                    texels[y0, x1, c] += w01 * value
                    texels[y1, x0, c] += w10 * value
                    texels[y1, x1, c] += w11 * value
