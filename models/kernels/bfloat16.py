"""bfloat16 in numba kernels: numpy has no such type, so torch's tensors come as their bits.

What is compiled depends on an array's type: `uint16` are bits of bfloat16, `float32` stays itself.
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
"""Of bfloat16."""
NetworkArray = FloatArray | Bits
"""Numbers as convolutions take and make them: float32, or bits of bfloat16."""


def network_array(tensor: Tensor) -> NetworkArray:
    """The memory of a float32 or bfloat16 tensor on the CPU, for a kernel."""
    if tensor.dtype == torch.bfloat16:
        return bits_of(tensor)
    floats: FloatArray = tensor.numpy()
    return floats


def bits_of(tensor: Tensor) -> Bits:
    """The memory of a bfloat16 tensor on the CPU, for a kernel."""
    bits: Bits = tensor.view(torch.uint16).numpy()
    return bits


def to_float(value: Any) -> Any:
    """In compiled code: an element of a `NetworkArray` as float32."""
    raise TypeError("to_float is for compiled code")


def from_float(value: Any, array: Any) -> Any:
    """In compiled code: a float32 as an element of this `NetworkArray`, to the nearest."""
    raise TypeError("from_float is for compiled code")


@overload(to_float, inline="always", strict=False)
def _to_float(value: types.Type) -> Callable[[Any], Any]:
    if value == types.uint16:
        return lambda value: _float_of_bits(np.uint32(value) << np.uint32(16))  # type: ignore[call-arg]
    return lambda value: value


@overload(from_float, inline="always", strict=False)
def _from_float(value: types.Type, array: types.Array) -> Callable[[Any, Any], Any]:
    if array.dtype == types.uint16:
        # Ties go up, not to even: not worth an operation.
        return lambda value, array: np.uint16(
            (_bits_of_float(value) + np.uint32(0x8000)) >> np.uint32(16)  # type: ignore[call-arg]
        )
    return lambda value, array: value


@intrinsic
def _float_of_bits(context: Any, bits: types.Type) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _bits_of_float(context: Any, value: types.Type) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate
