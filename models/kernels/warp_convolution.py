"""The warp's two convolutions on a CPU, fused into one kernel.

The same in plain torch: `TelewarpTorchRuntime.convolve`. oneDNN computes the products as fast, but
needs copied inputs, more passes over memory to add to its outputs, and rectangles. Here each row is
only as wide as its active columns, and pixels without coverage around them skip the products.
Releases the interpreter lock, uses one core.

Compiled per element type: bfloat16 for CPUs with AVX512-BF16, which multiplies pairs, or float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from models.contract.channels import OUTPUT_CHANNELS
from models.contract.frame_state import FloatArray
from models.kernels import float_products
from models.kernels.bfloat16 import NetworkArray, network_array
from models.kernels.llvm_vectors import OUTPUTS
from models.kernels.vectors import PIXELS, add_products, rectify_and_narrow, widen_and_add


class Kernels(NamedTuple):
    """The warp's weights in the layout of `add_products`."""

    live: NetworkArray
    """(hidden / 32, 3, 3 P, 32): per 32 outputs and kernel row, weights of the P channels of three
    pixels; bfloat16 as pairs."""
    hidden: NetworkArray
    """(hidden, 32) weights of the second convolution; bfloat16 as pairs."""


def pack_kernels(live: Tensor, hidden: Tensor, dtype: torch.dtype) -> Kernels:
    """Arrange the weights of both convolutions for `convolve`.

    Args:
        live: (hidden, P, 3, 3) weights of the first convolution for live inputs; P even and hidden
            a multiple of 32.
        hidden: (32, hidden, 1, 1) weights of the second convolution.
        dtype: bfloat16 or float32.
    """
    outputs, channels = live.shape[:2]
    assert outputs % OUTPUTS == 0
    assert channels % 2 == 0
    assert len(hidden) == OUTPUTS == 4 * OUTPUT_CHANNELS
    # The channels of three neighbouring pixels are adjacent in memory, so a kernel row is one sum.
    rows = live.permute(2, 3, 1, 0).reshape(3, 3 * channels, outputs // OUTPUTS, OUTPUTS)
    both = rows.permute(2, 0, 1, 3), hidden[:, :, 0, 0].T
    arrange = _as_pairs if dtype == torch.bfloat16 else torch.Tensor.contiguous
    return Kernels(*(network_array(arrange(weights.to(dtype))) for weights in both))


def _as_pairs(weights: Tensor) -> Tensor:
    """Rearrange (..., K, 32) so that weights 2k and 2k + 1 of an output are adjacent."""
    *many, inputs, outputs = weights.shape
    pairs = weights.reshape(*many, inputs // 2, 2, outputs).transpose(-1, -2)
    return pairs.reshape(weights.shape).contiguous()


def can_convolve(hidden: int) -> bool:
    """Return whether `convolve` supports networks of this width."""
    return hidden % OUTPUTS == 0


def _pixels_at_once(inputs: Any) -> Any:
    """Return the pixels per call of `add_products`; in compiled code only."""
    raise TypeError("expected a call in compiled code, got one in Python: _pixels_at_once")


def _values_at_once(inputs: Any) -> Any:
    """Return the channels in a unit of `add_products`; in compiled code only."""
    raise TypeError("expected a call in compiled code, got one in Python: _values_at_once")


# `strict=False`: the stubs above have other annotations than the implementations.
@overload(_pixels_at_once, inline="always", strict=False)
def _pixels_at_once_of(inputs: types.Array) -> Callable[[Any], int]:
    pixels = PIXELS if inputs.dtype == types.uint16 else float_products.PIXELS
    return lambda inputs: pixels


@overload(_values_at_once, inline="always", strict=False)
def _values_at_once_of(inputs: types.Array) -> Callable[[Any], int]:
    values = 2 if inputs.dtype == types.uint16 else 1
    return lambda inputs: values


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def convolve(
    inputs: NetworkArray,
    coverage: int,
    first: NetworkArray,
    second: NetworkArray,
    code: FloatArray,
    live_kernel: NetworkArray,
    hidden_kernel: NetworkArray,
    active_left: NDArray[np.int32],
    active_right: NDArray[np.int32],
    top: int,
    bottom: int,
    smooth: FloatArray,
) -> None:
    """Convolve the active region of some rows.

    One loop for both convolutions on purpose: the hidden channels of a few pixels stay in the
    first-level cache between them, and never go to memory.

    Args:
        inputs: (H/2 + 2, W/2 + 16, P) from `allocate_inputs`, with live inputs filled in.
        coverage: Index of the soft coverage, which is 0 only where all channels are.
        first: (H/2, W/2, hidden) of the reprojected cache.
        second: (H/2, W/2, 32) of the reprojected cache.
        code: (hidden,) of `motion_share`.
        live_kernel: (hidden / 32, 3, 3 P, 32) weights of the first convolution, as `Kernels.live`.
        hidden_kernel: (hidden, 32) weights of the second convolution, as `Kernels.hidden`.
        active_left: (H/2,) first active column of each row.
        active_right: (H/2,) column after the last.
        top: The first row.
        bottom: The row after the last.
        smooth: (bottom - top or more, W/2, 32) filled in the active region.
    """
    columns, channels = inputs.shape[1], inputs.shape[2]
    hidden, width = first.shape[2], first.shape[1]
    pixels, unit = _pixels_at_once(inputs), _values_at_once(inputs)
    # In units of channels, as `add_products` counts them.
    taps = 3 * channels // unit
    flat, out = inputs.reshape(-1), smooth.reshape(-1)
    first_cached, second_cached = first.reshape(-1), second.reshape(-1)
    live_weights, hidden_weights = live_kernel.reshape(-1), hidden_kernel.reshape(-1)
    sums = np.empty(pixels * OUTPUTS, np.float32)
    zeros = np.zeros(OUTPUTS, np.float32)
    inner = np.empty(pixels * hidden, inputs.dtype)
    for y in range(top, bottom):
        for start in range(active_left[y], active_right[y], pixels):
            # The last block is moved to the left to end at the image's edge; computing pixels twice
            # gives the same values.
            x = min(start, width - pixels)
            pixel = y * width + x
            live = _any_covered(inputs, coverage, y, x, pixels)
            for block in range(hidden // OUTPUTS):
                outputs = block * OUTPUTS
                for p in range(pixels):
                    begin = (pixel + p) * hidden + outputs
                    widen_and_add(first_cached, begin, code, outputs, sums, p * OUTPUTS)
                # Elsewhere only cache and motion code contribute, and all live channels are 0.
                if live:
                    for row in range(3):
                        left = ((y + row) * columns + x) * channels // unit
                        add_products(
                            flat, left, channels // unit, live_weights, (3 * block + row) * taps,
                            taps, sums, 0,
                        )  # fmt: skip
                for p in range(pixels):
                    rectify_and_narrow(sums, p * OUTPUTS, inner, p * hidden + outputs)
            to = ((y - top) * smooth.shape[1] + x) * OUTPUTS
            for p in range(pixels):
                widen_and_add(second_cached, (pixel + p) * OUTPUTS, zeros, 0, out, to + p * OUTPUTS)
            count = hidden // unit
            add_products(inner, 0, count, hidden_weights, 0, count, out, to)


@njit(cache=True, nogil=True, inline="always")
def _any_covered(inputs: NetworkArray, coverage: int, y: int, x: int, pixels: int) -> bool:
    """Return whether the 3x3 neighbourhood of any of some pixels from (y, x) is covered."""
    for row in range(y, y + 3):  # inputs begin at the second row and column
        for column in range(x, x + pixels + 2):
            if inputs[row, column, coverage] != 0:  # zero in bfloat16 has no bits set
                return True
    return False
