"""bfloat16 in numba kernels, as uint16 bit patterns, because numpy has no such type.

Kernels are compiled per element type: `uint16` arrays hold bits of bfloat16, `float32` arrays plain
floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray
from torch import Tensor

from models.contract.frame_state import FloatArray

Bits = NDArray[np.uint16]
"""Bit patterns of bfloat16."""
NetworkArray = FloatArray | Bits
"""Input or output of a convolution: float32, or bit patterns of bfloat16."""


def network_array(tensor: Tensor) -> NetworkArray:
    """Return a float32 or bfloat16 tensor on the CPU as an array for kernels, without a copy."""
    if tensor.dtype == torch.bfloat16:
        return bits_of(tensor)
    floats: FloatArray = tensor.numpy()
    return floats


def bits_of(tensor: Tensor) -> Bits:
    """Return a bfloat16 tensor on the CPU as an array for kernels, without a copy."""
    bits: Bits = tensor.view(torch.uint16).numpy()
    return bits


def to_float(value: Any) -> Any:
    """Convert an element of a `NetworkArray` to float32; in compiled code only."""
    raise TypeError("expected a call in compiled code, got one in Python: to_float")


def from_float(value: Any, array: Any) -> Any:
    """Convert a float32 to an element type of `array`, rounded; in compiled code only."""
    raise TypeError("expected a call in compiled code, got one in Python: from_float")


# `strict=False`: the stubs above have other annotations than the implementations.
@overload(to_float, inline="always", strict=False)
def _to_float(value: types.Type) -> Callable[[Any], Any]:
    # bfloat16 is the upper half of a float32.
    if value == types.uint16:
        return lambda value: _float_of_bits(np.uint32(value) << np.uint32(16))  # type: ignore[call-arg]  # numba passes the typing context
    return lambda value: value


@overload(from_float, inline="always", strict=False)
def _from_float(value: types.Type, array: types.Array) -> Callable[[Any, Any], Any]:
    if array.dtype == types.uint16:
        # Round half away from zero: torch's half to even would cost more operations per value.
        return lambda value, array: np.uint16(
            (_bits_of_float(value) + np.uint32(0x8000)) >> np.uint32(16)  # type: ignore[call-arg]  # numba passes the typing context
        )
    return lambda value, array: value


@intrinsic
def _float_of_bits(context: Any, bits: types.Type) -> Any:
    """Reinterpret a uint32 as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _bits_of_float(context: Any, value: types.Type) -> Any:
    """Reinterpret a float32 as uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate
