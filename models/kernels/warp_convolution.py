"""The warp's two convolutions on a CPU with AVX512-BF16, fused into one kernel.

The same in plain torch: `TelewarpTorchRuntime.convolve`. oneDNN computes the products as fast, but
needs copied inputs, more passes over memory to add to its outputs, and rectangles. Here each row is
only as wide as its active columns, and pixels without coverage around them skip the products.
Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from models.contract.channels import OUTPUT_CHANNELS
from models.contract.frame_state import FloatArray
from models.kernels.bfloat16 import Bits, NetworkArray, bits_of
from models.kernels.vectors import OUTPUTS, PIXELS, add_products, rectify_and_narrow, widen_and_add


class Kernels(NamedTuple):
    """The warp's weights in the layout of `add_products`."""

    live: Bits
    """(hidden / 32, 3, 3 P, 32): per 32 outputs and kernel row, weights of the P channels of three
    pixels, as pairs."""
    hidden: Bits
    """(hidden, 32) weights of the second convolution, as pairs."""


def pack_kernels(live: Tensor, hidden: Tensor) -> Kernels:
    """Arrange the weights of both convolutions for `convolve`.

    Args:
        live: (hidden, P, 3, 3), P even and hidden a multiple of 32.
        hidden: (32, hidden, 1, 1).
    """
    outputs, channels = live.shape[:2]
    assert outputs % OUTPUTS == 0
    assert channels % 2 == 0
    assert len(hidden) == OUTPUTS == 4 * OUTPUT_CHANNELS
    # The channels of three neighbouring pixels are adjacent in memory, so a kernel row is one sum.
    rows = live.permute(2, 3, 1, 0).reshape(3, 3 * channels, outputs // OUTPUTS, OUTPUTS)
    return Kernels(_as_pairs(rows.permute(2, 0, 1, 3)), _as_pairs(hidden[:, :, 0, 0].T))


def _as_pairs(weights: Tensor) -> Bits:
    """Rearrange (..., K, 32) so that weights 2k and 2k + 1 of an output are adjacent."""
    *many, inputs, outputs = weights.shape
    pairs = weights.reshape(*many, inputs // 2, 2, outputs).transpose(-1, -2)
    return bits_of(pairs.reshape(weights.shape).to(torch.bfloat16).contiguous())


def can_convolve(hidden: int, dtype: torch.dtype) -> bool:
    """Return whether `convolve` supports networks of this width and precision."""
    return dtype == torch.bfloat16 and hidden % OUTPUTS == 0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def convolve(
    inputs: Bits,
    coverage: int,
    first: Bits,
    second: Bits,
    code: FloatArray,
    live_kernel: Bits,
    hidden_kernel: Bits,
    active_left: NDArray[np.int32],
    active_right: NDArray[np.int32],
    top: int,
    bottom: int,
    smooth: FloatArray,
) -> None:
    """Convolve the active region of some rows.

    One loop for both convolutions on purpose: the hidden channels of eight pixels stay in the
    first-level cache between them, and never go to memory.

    Args:
        inputs: Of `allocate_inputs`, with live inputs filled in.
        coverage: Index of the soft coverage, which is 0 only where all channels are.
        first: (H/2, W/2, hidden) of the reprojected cache.
        second: (H/2, W/2, 32) of the reprojected cache.
        code: (hidden,) of `motion_share`.
        live_kernel: As `Kernels.live`.
        hidden_kernel: As `Kernels.hidden`.
        active_left: (H/2,) first active column of each row.
        active_right: (H/2,) column after the last.
        top: The first row.
        bottom: The row after the last.
        smooth: (bottom - top or more, W/2, 32) filled in the active region.
    """
    columns, channels = inputs.shape[1], inputs.shape[2]
    hidden, width = first.shape[2], first.shape[1]
    # In pairs of channels, as `add_products` counts them.
    taps = 3 * channels // 2
    flat, out = inputs.reshape(-1), smooth.reshape(-1)
    first_cached, second_cached = first.reshape(-1), second.reshape(-1)
    live_weights, hidden_weights = live_kernel.reshape(-1), hidden_kernel.reshape(-1)
    sums = np.empty(PIXELS * OUTPUTS, np.float32)
    zeros = np.zeros(OUTPUTS, np.float32)
    inner = np.empty(PIXELS * hidden, np.uint16)
    for y in range(top, bottom):
        for start in range(active_left[y], active_right[y], PIXELS):
            # The last block is moved to the left to end at the image's edge; computing pixels twice
            # gives the same values.
            x = min(start, width - PIXELS)
            pixel = y * width + x
            live = _any_covered(inputs, coverage, y, x)
            for block in range(hidden // OUTPUTS):
                outputs = block * OUTPUTS
                for p in range(PIXELS):
                    begin = (pixel + p) * hidden + outputs
                    widen_and_add(first_cached, begin, code, outputs, sums, p * OUTPUTS)
                # Elsewhere only cache and motion code contribute, and all live channels are 0.
                if live:
                    for row in range(3):
                        left = ((y + row) * columns + x) * channels // 2
                        add_products(
                            flat, left, channels // 2, live_weights, (3 * block + row) * taps,
                            taps, sums, 0,
                        )  # fmt: skip
                for p in range(PIXELS):
                    rectify_and_narrow(sums, p * OUTPUTS, inner, p * hidden + outputs)
            to = ((y - top) * smooth.shape[1] + x) * OUTPUTS
            for p in range(PIXELS):
                widen_and_add(second_cached, (pixel + p) * OUTPUTS, zeros, 0, out, to + p * OUTPUTS)
            add_products(inner, 0, hidden // 2, hidden_weights, 0, hidden // 2, out, to)


@njit(cache=True, nogil=True, inline="always")
def _any_covered(inputs: NetworkArray, coverage: int, y: int, x: int) -> bool:
    """Return whether the 3x3 neighbourhood of any of `PIXELS` pixels from (y, x) is covered."""
    any_bits = 0  # zero in bfloat16 has no bits set
    for row in range(y, y + 3):  # inputs begin at the second row and column
        for column in range(x, x + PIXELS + 2):
            any_bits |= inputs[row, column, coverage]
    return any_bits != 0
