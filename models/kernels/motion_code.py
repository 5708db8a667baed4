"""What a warp takes of a frame's few numbers, for the latency path on a CPU.

Twins in plain torch: `harmonic_scale`, and `MotionCode` with what `TelewarpWarp` makes of it. Their
forty operators on a hundred numbers cost more than the arithmetic, by a hundredfold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.contract.channels import CAMERA_SIZE, COLOUR_CHANNELS, POSE_SIZE
from models.contract.frame_state import FloatArray
from models.geometry.spherical_harmonics import BASES, C0, C1, C2, C3


class MotionWeights(NamedTuple):
    """Two linear layers."""

    code: FloatArray
    """(32, N)"""
    code_bias: FloatArray
    share: FloatArray
    """(hidden, 32)"""
    share_bias: FloatArray


@njit(cache=True, nogil=True)
def channel_scale(numbers: FloatArray, channels: int) -> FloatArray:
    """(C,) what texture channels are multiplied by, given a frame's (9 + E,) numbers."""
    scale = np.ones(channels, np.float32)
    scale[COLOUR_CHANNELS : COLOUR_CHANNELS + BASES] = _harmonics(numbers[:3])
    return scale


@njit(cache=True, nogil=True)
def motion_share(
    now: FloatArray,
    cached: FloatArray,
    code_weight: FloatArray,
    code_bias: FloatArray,
    share_weight: FloatArray,
    share_bias: FloatArray,
) -> FloatArray:
    """The motion code's share of the first convolution.

    Args:
        now: (9 + E,) numbers of this frame.
        cached: (9 + E,) of the older one.
        code_weight: As `MotionWeights.code`; the others likewise.
        code_bias: (32,)
        share_weight: (hidden, 32)
        share_bias: (hidden,)

    Returns:
        (hidden,)
    """
    pose, rest = POSE_SIZE, POSE_SIZE + CAMERA_SIZE
    change = now - cached
    parts = (
        _harmonics(now[:3]), now[:pose], change[:pose], change[pose:rest], now[pose:rest],
        now[rest:], change[rest:],
    )  # fmt: skip
    code = np.maximum(_linear(np.concatenate(parts), code_weight, code_bias), np.float32(0))
    return _linear(code, share_weight, share_bias)


@njit(cache=True, nogil=True, fastmath=True)
def _linear(values: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    # Loops and no matrix product: see `geometry/head.py`.
    made = bias.copy()
    for o in range(weight.shape[0]):
        total = np.float32(0)
        for i in range(weight.shape[1]):
            total += weight[o, i] * values[i]
        made[o] += total
    return made


@njit(cache=True, nogil=True)
def _harmonics(direction: FloatArray) -> FloatArray:
    """(9,) `spherical_harmonics` of (3,)."""
    x, y, z = direction
    return np.array(
        [
            C0, C1 * y, C1 * z, C1 * x, C2 * x * y, C2 * y * z,
            C3 * (3 * z * z - 1), C2 * z * x, C2 * (x * x - z * z),
        ],
        np.float32,
    )  # fmt: skip
