"""What a warp computes from the conditioning vectors, for the latency path on a CPU.

The same in plain torch: `harmonic_scale`, and `MotionCode` with `TelewarpWarp.from_motion`. Their
forty operators on a hundred values cost a hundred times more than the arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.contract.channels import CAMERA_SIZE, COLOUR_CHANNELS, POSE_SIZE
from models.contract.frame_state import FloatArray
from models.geometry.spherical_harmonics import BASES, C0, C1, C2, C3


class MotionWeights(NamedTuple):
    """Weights of two linear layers: the motion code, and its contribution to the warp."""

    code: FloatArray
    """(32, N) weights of `MotionCode`."""
    code_bias: FloatArray
    """(32,) bias of `MotionCode`."""
    share: FloatArray
    """(hidden, 32) weights of `TelewarpWarp.from_motion`."""
    share_bias: FloatArray
    """(hidden,) bias of `TelewarpWarp.from_motion`."""


@njit(cache=True, nogil=True)
def channel_scale(conditioning: FloatArray, channels: int) -> FloatArray:
    """Compute the scale of each texture channel for a view.

    Args:
        conditioning: (9 + E,) conditioning vector of the frame.
        channels: C of the texture.

    Returns:
        (C,) as `harmonic_scale`.
    """
    scale = np.ones(channels, np.float32)
    harmonics = _harmonics(conditioning[:3])
    for i in range(BASES):  # the assignment of a slice takes numba 4 s longer to compile
        scale[COLOUR_CHANNELS + i] = harmonics[i]
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
    """Compute the motion code's contribution to the first convolution.

    Args:
        now: (9 + E,) conditioning vector of the current frame.
        cached: (9 + E,) that of the older frame.
        code_weight: (32, N) weights of `MotionCode`.
        code_bias: (32,) bias of `MotionCode`.
        share_weight: (hidden, 32) weights of `TelewarpWarp.from_motion`.
        share_bias: (hidden,) bias of `TelewarpWarp.from_motion`.

    Returns:
        (hidden,)
    """
    pose, rest = POSE_SIZE, POSE_SIZE + CAMERA_SIZE
    change = now - cached
    # In the order of `MotionCode`.
    parts = (
        _harmonics(now[:3]), now[:pose], change[:pose], change[pose:rest], now[pose:rest],
        now[rest:], change[rest:],
    )  # fmt: skip
    # float32 zero: with a Python 0 numba would compute in float64 from here on.
    code = np.maximum(_linear(np.concatenate(parts), code_weight, code_bias), np.float32(0))
    return _linear(code, share_weight, share_bias)


@njit(cache=True, nogil=True, fastmath=True)
def _linear(values: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Return weight (O, I) times values (I,) plus bias (O,)."""
    # Loops instead of a matrix product, which would wake BLAS threads: see `geometry/head.py`.
    made = bias.copy()
    for o in range(weight.shape[0]):
        total = np.float32(0)
        for i in range(weight.shape[1]):
            total += weight[o, i] * values[i]
        made[o] += total
    return made


@njit(cache=True, nogil=True)
def _harmonics(direction: FloatArray) -> FloatArray:
    """Evaluate the nine basis functions of `spherical_harmonics` at a direction (3,)."""
    x, y, z = direction
    return np.array(
        [
            C0, C1 * y, C1 * z, C1 * x, C2 * x * y, C2 * y * z,
            C3 * (3 * z * z - 1), C2 * z * x, C2 * (x * x - z * z),
        ],
        np.float32,
    )  # fmt: skip
